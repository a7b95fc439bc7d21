"""The studies of rendered images: what they train on, what they are judged on, their tables."""
