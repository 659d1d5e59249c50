"""The trainer: PyTorch programs that torchrun starts, one process per accelerator.

Only here, in `run/serve.py` and in `run/measure.py` is torch imported.
"""
