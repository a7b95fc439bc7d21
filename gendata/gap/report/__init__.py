"""What was found, put into words, figures, a page and `gap.csv`."""
