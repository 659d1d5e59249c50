"""Gigafactory: plan, simulate, build, run and compare AI training on a supercomputer."""

__version__ = "0.1.0"
