"""The trainer: PyTorch's own parallelism, laid out as the plan says; torchrun starts it.

Only here, in `run/serve.py` and in `run/measure.py` is torch imported.
"""
