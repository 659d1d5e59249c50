"""Settings of every test: hypothesis draws the same examples on every run."""

from __future__ import annotations

import os

from hypothesis import settings

# pytest-xdist tells its workers the width of a terminal that they do not have.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# No deadline: a slow machine is no bug. CI and desk draw alike, so that a failure repeats.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("ci")
