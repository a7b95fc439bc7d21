"""How many real images a synthetic one replaces."""
