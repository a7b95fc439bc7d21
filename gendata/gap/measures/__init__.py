"""What is computed from feature vectors: pure functions on arrays that read and print nothing."""
