"""Physics: pure functions of numbers or columns."""
