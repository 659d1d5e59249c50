"""Simulated runs."""
