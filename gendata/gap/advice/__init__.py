"""What to do about the gap, and what that leans on."""
