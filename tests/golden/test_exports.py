"""Exports, letter by letter: their difference is what a change means to another engine.

GIGAFACTORY_REGENERATE=1 writes the files anew; read their difference before committing it.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gigafactory.run import kubernetes, megatron, torchtitan
from gigafactory.run.kubernetes_pod import Site
from tests.made_plans import MEGATRON, TORCHTITAN, handed

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).parent / "exports"
REGENERATE: Final = "GIGAFACTORY_REGENERATE"
SITE: Final = Site(image="example.com/trainer:1", engine="torchtitan")
TEXTS: Final[dict[str, Callable[[], str]]] = {
    "llama-3.1-405b.sh": lambda: megatron.script(handed(MEGATRON["llama-3.1-405b"])),
    "grok-1.sh": lambda: megatron.script(handed(MEGATRON["grok-1"])),
    "deepseek-v3.sh": lambda: megatron.script(handed(MEGATRON["deepseek-v3"])),
    "llama_3_1_405b.py.txt": lambda: torchtitan.module(
        handed(TORCHTITAN["llama-3.1-405b"]), "llama_3_1_405b"
    ),
    "grok_1.py.txt": lambda: torchtitan.module(handed(TORCHTITAN["grok-1"]), "grok_1"),
    "deepseek_v3.py.txt": lambda: torchtitan.module(
        handed(TORCHTITAN["deepseek-v3"]), "deepseek_v3"
    ),
    "grok-1.yaml": lambda: kubernetes.manifest(handed(TORCHTITAN["grok-1"]), SITE),
}


@pytest.mark.parametrize("name", TEXTS)
def test_an_export_is_what_it_was(name: str) -> None:
    told, path = TEXTS[name](), HERE / name
    assert told == TEXTS[name]()
    if os.environ.get(REGENERATE):
        path.write_text(told, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        expected.splitlines(), told.splitlines(), "expected", "exported", lineterm=""
    )
    assert told == expected, "\n".join(difference)
