"""The trainer: PyTorch's own parallelism, laid out as the plan says."""
