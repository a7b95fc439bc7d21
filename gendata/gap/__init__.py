"""What synthetic images lack against real ones: the content gap, measured and shown."""
