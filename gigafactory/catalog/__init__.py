"""Facts with sources."""
