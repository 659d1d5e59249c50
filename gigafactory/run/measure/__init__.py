"""Measures this machine: what one rank computes while all do, and what ranks exchange."""
