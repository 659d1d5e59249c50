"""A record of faults: read, refused where it makes no sense, fitted and drawn anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.errors import CatalogError
from gigafactory.simulate.trace import drawn_trace, fitted, mixture, read_trace, statistics

HBD = Path(__file__).parent.parent / "data" / "infinitehbd" / "fault_trace.json"
GPU = {"Level": "Hardware Failure", "Class": "GPU", "Desc": "GPU Lost"}


def event(time: float, kind: str = "fault_start", node: str = "a", **changed: Any) -> Any:
    return {"node_id": node, "event_time": time, "event_type": kind, "fault_type": GPU} | changed


def written(tmp_path: Path, events: Any) -> Path:
    path = tmp_path / "trace.json"
    path.write_text(events if isinstance(events, str) else json.dumps(events))
    return path


def pairs(number: int) -> list[Any]:
    return [
        event(3.0 * i + later, kind, node=str(i % 4))
        for i in range(number)
        for later, kind in ((0.0, "fault_start"), (1.0, "fault_end"))
    ]


def test_the_real_trace_has_the_figures_that_are_published_of_it() -> None:
    trace = read_trace(HBD, 400)
    found = statistics(trace)
    assert (found.count, trace.num_nodes) == (584, 400)
    assert found.variation == pytest.approx(1.76, abs=0.005)
    assert found.top_share == pytest.approx(0.41, abs=0.005)
    assert np.isfinite(trace.end).all()


@pytest.mark.parametrize(("events", "rule"), [
    ("not json", "must be JSON"),
    ({"a": 1}, "must hold a JSON list"),
    ([3], "event 0: must be an object"),
    ([event(-1.0)], "event 0: event_time must not be negative, got -1.0"),
    ([event(1.0, event_time="soon")], "event 0: event_time must be a finite number of days"),
    ([event(1.0, "fault_begin")], "event_type must be fault_start or fault_end"),
    ([event(1.0, fault_type={"Level": "Magic"})], "fault_type.Level must be one of Hardware"),
    ([event(1.0, fault_type=GPU | {"Class": "Flux"})], "fault_type.Class of Hardware Failure must"),
    ([event(1.0, fault_type=3)], "fault_type.Level must be one of"),
    ([event(1.0, node_id=None)], "node_id must be a text or a number"),
    ([event(5.0, "fault_end"), event(7.0)], "event 0: node a has a fault_end at day 5 before any"),
    (pairs(3), "must hold at least 10 faults, got 3"),
    ("[" * 100_000, "must be JSON"),
])  # fmt: skip
def test_a_trace_at_fault_is_refused_in_one_line(tmp_path: Path, events: Any, rule: str) -> None:
    path = written(tmp_path, events)
    with pytest.raises(CatalogError) as error:
        read_trace(path)
    assert rule in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_all_faults_of_a_trace_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as error:
        read_trace(written(tmp_path, [event(-1.0, "x"), event(2.0, fault_type={})]))
    assert str(error.value).count("event ") == 3


def test_a_fleet_is_not_smaller_than_its_nodes_that_fail(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="must be between the 4 nodes"):
        read_trace(written(tmp_path, pairs(20)), 3)


def test_a_fault_without_an_end_is_open(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, [*pairs(12), event(99.0)]))
    assert np.isinf(trace.end).sum() == 1
    assert fitted(trace).repair_mean_s == pytest.approx(86_400.0)


def test_a_known_mixture_is_found_again() -> None:
    rng = np.random.default_rng(0)
    gaps = rng.exponential(np.where(rng.random(20_000) < 0.3, 0.1, 1.0))
    found = mixture(gaps)
    assert found.short_share == pytest.approx(0.3, abs=0.03)
    assert found.short_over_mean == pytest.approx(0.1 / 0.73, rel=0.15)


def test_exponential_gaps_have_no_bursts_to_speak_of() -> None:
    found = mixture(np.random.default_rng(0).exponential(size=5_000))
    from gigafactory.simulate.failures import variation_of

    assert variation_of(found) == pytest.approx(1.0, abs=0.05)


def test_a_drawn_trace_is_fitted_back_to_what_made_it() -> None:
    profile = fitted(read_trace(HBD, 400))
    drawn = drawn_trace(profile, 2_000, 2_000.0, np.random.default_rng(0))
    again = fitted(drawn)
    rate = profile.failures_per_1000_node_days.expected
    assert again.failures_per_1000_node_days.expected == pytest.approx(rate, rel=0.05)
    assert again.propensity_shape == pytest.approx(profile.propensity_shape, rel=0.1)
    assert again.inter_arrival_cv == pytest.approx(profile.inter_arrival_cv, rel=0.05)
    assert again.repair_median_s == pytest.approx(profile.repair_median_s, rel=0.1)
