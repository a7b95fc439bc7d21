"""Whether real images are repeated."""
