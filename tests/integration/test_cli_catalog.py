"""`giga catalog`: every kind and every entry can be shown, with the source of each number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gigafactory.catalog import loader
from tests.integration.test_cli_command import answered, refused, told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_the_kinds_are_listed() -> None:
    assert told("catalog")["kinds"] == {kind: loader.names(kind) for kind in loader.KINDS}
    shown = answered("catalog").out
    assert [kind for kind in loader.KINDS if kind not in shown] == []


@pytest.mark.parametrize("kind", list(loader.KINDS))
def test_every_kind_is_listed_and_every_entry_shown(kind: str) -> None:
    names = told("catalog", kind)["names"]
    shown = answered("catalog", kind).out
    assert names
    assert [name for name in names if name not in shown] == []
    for name in names:
        assert told("catalog", kind, name)["entry"]
        assert answered("catalog", kind, name).out.count("\n") > 3


def test_one_of_a_kind_is_asked_for_in_the_singular_too() -> None:
    assert told("catalog", "model", "grok-1") == told("catalog", "models", "grok-1")


def test_a_model_comes_with_its_parameters_and_sources() -> None:
    found = told("catalog", "models", "grok-1")
    assert found["num_parameters"] == pytest.approx(314e9, rel=0.01)
    assert found["entry"]["source"]
    assert found["entry"]["num_layers"] == 64


def test_the_clusters_are_lined_up_over_time() -> None:
    clusters = told("catalog", "clusters", "--compare")["clusters"]
    assert {"gigafactory", "meta-24k-roce", "colossus-1"} <= {one["name"] for one in clusters}
    dates = [one["available"] for one in clusters if one["available"]]
    assert dates == sorted(dates)
    assert "gigafactory" in answered("catalog", "--compare").out


def test_the_fitted_numbers_are_counted() -> None:
    count = told("catalog", "calibration")["num_fitted"]
    assert count > 0
    assert f"{count} numbers" in answered("catalog", "calibration").out


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("modles",), "models"),
        (("modles", "grok-1"), "models"),
        (("models", "grok-l"), "grok-1"),
        (("clusters", "gigafactry"), "gigafactory"),
        (("sites", "memphs"), "memphis"),
        (("clusters", "eos", "--compare"), "--compare"),
        (("models", "--compare"), "--compare"),
    ],
)
def test_an_unknown_kind_or_name_is_told_with_the_nearest(
    arguments: tuple[str, ...], nearest: str
) -> None:
    assert nearest in refused("catalog", *arguments)
