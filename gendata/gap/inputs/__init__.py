"""Which images are compared, and their features."""
