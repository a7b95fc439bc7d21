"""Whether the images look real, and whether all real ones are covered."""
