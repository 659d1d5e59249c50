"""Stages, bubbles and microbatches in flight against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gigafactory.cost.pipeline import microbatches_in_flight, pipeline_time_s, stage_layers


@pytest.mark.parametrize(("layers", "pp"), [(126, 16), (8, 8), (7, 3), (61, 16), (5, 8), (64, 1)])
def test_stages_hold_all_layers_between_them(layers: int, pp: int) -> None:
    held = stage_layers(layers, pp, np.arange(float(pp)))
    assert float(np.sum(held)) == layers
    assert float(np.max(held)) == -(-layers // pp)
    assert float(np.min(held)) >= 0


def test_the_last_stage_goes_without_first_and_then_the_first() -> None:
    assert [float(stage_layers(31, 4, s)) for s in range(4)] == [8, 8, 8, 7]
    assert [float(stage_layers(30, 4, s)) for s in range(4)] == [7, 8, 8, 7]
    assert [float(stage_layers(29, 4, s)) for s in range(4)] == [7, 8, 7, 7]


def test_stages_that_divide_evenly_are_alike() -> None:
    assert set(np.asarray(stage_layers(96, 8, np.arange(8.0))).tolist()) == {12.0}


def test_one_forward_one_backward_keeps_as_many_microbatches_as_stages_follow() -> None:
    kept = microbatches_in_flight(4, 1, 64, np.arange(4.0))
    assert np.asarray(kept).tolist() == [4, 3, 2, 1]


def test_interleaving_keeps_the_share_of_korthikanti_more_on_the_first_stage() -> None:
    for pp, vpp in ((8, 3), (35, 3), (4, 2)):
        plain, interleaved = pp, float(microbatches_in_flight(pp, vpp, 10**6, 0))
        assert interleaved / plain == pytest.approx(1 + (pp - 1) / (pp * vpp))


def test_no_stage_keeps_more_microbatches_than_there_are() -> None:
    assert float(microbatches_in_flight(16, 1, 3, 0)) == 3
    assert float(microbatches_in_flight(16, 4, 3, 0)) == 3


def test_the_bubble_of_even_stages_is_narayanans() -> None:
    pp, vpp, microbatches = 8, 4, 32
    total = float(pipeline_time_s(1.0, 1.0, pp, vpp, microbatches))
    assert total / microbatches - 1 == pytest.approx((pp - 1) / (vpp * microbatches))


def test_a_single_stage_has_no_bubble() -> None:
    assert float(pipeline_time_s(2.0, 2.0, 1, 1, 5)) == 10


def test_the_closed_form_equals_an_event_by_event_replay_of_even_stages() -> None:
    forward, backward, pp, microbatches = 1.0, 2.0, 4, 9
    assert _replay(forward, backward, pp, microbatches) == pytest.approx(
        float(pipeline_time_s(forward + backward, forward + backward, pp, 1, microbatches))
    )


def _replay(forward: float, backward: float, pp: int, microbatches: int) -> float:
    """Return the end of a 1F1B schedule, worked off in order on every stage."""
    orders = []
    for stage in range(pp):
        warm = min(pp - 1 - stage, microbatches)
        order = [("f", i) for i in range(warm)]
        for i in range(microbatches - warm):
            order += [("f", warm + i), ("b", i)]
        orders.append(order + [("b", i) for i in range(microbatches - warm, microbatches)])
    done: dict[tuple[str, int, int], float] = {}
    free, place = [0.0] * pp, [0] * pp
    while any(place[s] < len(orders[s]) for s in range(pp)):
        for s in range(pp):
            while place[s] < len(orders[s]):
                kind, i = orders[s][place[s]]
                before = ("f", i, s - 1) if kind == "f" else ("b", i, s + 1)
                if 0 <= before[2] < pp and before not in done:
                    break
                start = max(free[s], done.get(before, 0.0))
                free[s] = start + (forward if kind == "f" else backward)
                done[kind, i, s] = free[s]
                place[s] += 1
    return max(done.values())
