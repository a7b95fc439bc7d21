"""Whether the gap is one of appearance, of quality or of content."""
