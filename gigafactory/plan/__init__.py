"""Predict, search, explain."""
