"""Which real images the clone does not cover."""
