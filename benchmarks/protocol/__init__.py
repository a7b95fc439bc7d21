"""What the zero-shot and low-shot studies share: runs, their statistics, tables and plots."""
