"""What the tests of runs share: a text to train on, and runs that are ended with their test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.started_run import Starter


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.made_training import prepared_text

    return prepared_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def start(tmp_path: Path, text: Path) -> Iterator[Starter]:
    from tests.started_run import Starter

    starter = Starter(tmp_path, text)
    yield starter
    starter.close()
