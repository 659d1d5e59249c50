"""Delivery of the machine."""
