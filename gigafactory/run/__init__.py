"""Runs on real engines."""
