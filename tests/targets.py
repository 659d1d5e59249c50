"""Where the engines that exports are written for can be imported: a folder beside the tests' own.

`make targets` fills it; nothing of Gigafactory needs it, and the tests' environment stays clean of
what the engines ask for. A test that needs an engine is skipped where it is missing, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(os.environ.get("GIGAFACTORY_TARGETS", str(Path(sys.prefix) / "targets")))
READERS: Final = Path(__file__).parent / "integration" / "readers"


def require(package: str) -> None:
    """Skip where a package is not in the folder."""
    if not (FOLDER / package).is_dir():
        pytest.skip(f"{FOLDER} holds no {package}: `make targets` installs it")


def read(reader: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what an engine makes of the cases, read by a program of its own."""
    ran = subprocess.run(
        [sys.executable, str(READERS / reader)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    told: dict[str, Any] = json.loads(ran.stdout)
    return told
