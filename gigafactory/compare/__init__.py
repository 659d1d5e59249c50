"""Predicted, simulated, measured; calibration."""
