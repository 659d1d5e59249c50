"""Tables, plots, traces, pages."""
