"""Orders and replays small enough to check by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gigafactory.cost.schedule import (
    Kind,
    Task,
    chunk_layers,
    makespan_s,
    most_in_flight,
    order,
    replay,
    replay_each,
    walk,
)
from gigafactory.errors import SpecError


def short(pp: int, vpp: int, microbatches: int, stage: int) -> str:
    return " ".join(f"{k[0]}{c}.{m}" for k, c, m in order(pp, vpp, microbatches, stage))


def test_the_last_stage_of_1f1b_alternates_from_the_start() -> None:
    assert short(3, 1, 3, 2) == "f0.0 b0.0 f0.1 b0.1 f0.2 b0.2"


def test_the_first_stage_of_1f1b_warms_up_with_one_pass_per_stage_below_it() -> None:
    assert short(3, 1, 4, 0) == "f0.0 f0.1 f0.2 b0.0 f0.3 b0.1 b0.2 b0.3"


def test_interleaving_changes_chunk_after_every_round_of_microbatches() -> None:
    assert short(2, 2, 4, 1) == (
        "f0.0 f0.1 f1.0 b1.0 f1.1 b1.1 f0.2 b0.0 f0.3 b0.1 f1.2 b1.2 f1.3 b1.3 b0.2 b0.3"
    )


def test_the_interleaved_first_stage_warms_up_two_passes_per_stage_more() -> None:
    assert [kind for kind, _, _ in order(4, 2, 8, 0)].index("backward") == 2 * 3 + 4 + 1


def test_fewer_microbatches_than_stages_make_the_whole_forward_pass_warm_up() -> None:
    assert short(4, 1, 2, 0) == "f0.0 f0.1 b0.0 b0.1"


def test_two_stages_with_a_hop_follow_the_clock_of_a_hand_drawing() -> None:
    forward, backward = np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]])
    events = replay(forward, backward, 0.5, 2, 1, 2)
    times = {(e.stage, e.kind[0], e.microbatch): (e.start_s, e.end_s) for e in events}
    assert times == {
        (0, "f", 0): (0.0, 1.0), (0, "f", 1): (1.0, 2.0),
        (1, "f", 0): (1.5, 3.5), (1, "b", 0): (3.5, 6.5),
        (0, "b", 0): (7.0, 9.0), (1, "f", 1): (6.5, 8.5),
        (1, "b", 1): (8.5, 11.5), (0, "b", 1): (12.0, 14.0),
    }  # fmt: skip
    assert makespan_s(events) == 14.0


def test_one_stage_has_no_neighbour_to_wait_for() -> None:
    one = np.ones((1, 1))
    assert makespan_s(replay(one, one, 100.0, 1, 1, 3)) == 6.0


def test_llama_3_embeds_in_an_empty_first_chunk_and_ends_in_an_empty_last_one() -> None:
    held = chunk_layers(126, 16, 8)
    assert (held[0, 0], held[15, 7], held.sum()) == (0.0, 0.0, 126.0)
    assert (held == 1.0).sum() == 126


def test_most_in_flight_counts_chunks_as_parts_of_a_stage() -> None:
    assert most_in_flight(order(4, 1, 8, 0), 1) == 4.0
    assert most_in_flight(order(4, 2, 8, 3), 2) == 2.5


@pytest.mark.parametrize(("pp", "vpp", "microbatches"), [(4, 2, 6), (1, 2, 4), (0, 1, 1)])
def test_a_schedule_that_does_not_exist_is_refused(pp: int, vpp: int, microbatches: int) -> None:
    with pytest.raises(SpecError, match=rf"schedule: .* {microbatches}"):
        order(pp, vpp, microbatches, 0)


@pytest.mark.parametrize(
    "bad", [np.ones((2, 2)), np.ones(2), -np.ones((2, 1)), np.full((2, 1), np.nan)]
)
def test_times_that_are_no_times_are_refused_by_name(bad: NDArray[np.float64]) -> None:
    with pytest.raises(SpecError, match="backward_s must be"):
        replay(np.ones((2, 1)), bad, 0.0, 2, 1, 2)


def test_a_negative_hop_is_refused() -> None:
    with pytest.raises(SpecError, match="hop_s"):
        replay(np.ones((2, 1)), np.ones((2, 1)), -1.0, 2, 1, 2)


def test_passes_of_their_own_times_follow_the_clock_of_a_hand_drawing() -> None:
    seconds: dict[Kind, NDArray[np.float64]] = {
        "forward": np.array([[[1.0, 1.0]], [[2.0, 4.0]]]),
        "backward": np.array([[[2.0, 2.0]], [[3.0, 1.0]]]),
    }
    hops: dict[Kind, NDArray[np.float64]] = {
        "forward": np.array([[[np.nan, np.nan]], [[0.5, 0.0]]]),
        "backward": np.array([[[0.25, 2.0]], [[np.nan, np.nan]]]),
    }
    ended = replay_each(seconds, hops, np.zeros((2, 1)), [order(2, 1, 2, s) for s in range(2)])
    # Stage 1: f0 1.5-3.5, b0 -6.5, f1 -10.5, b1 -11.5; stage 0: b0 6.75-8.75, b1 13.5-15.5.
    assert ended["forward"].tolist() == [[[1.0, 2.0]], [[3.5, 10.5]]]
    assert ended["backward"].tolist() == [[[8.75, 15.5]], [[6.5, 11.5]]]


def test_a_chunk_that_is_not_ready_holds_its_forward_passes_up() -> None:
    one = np.ones((1, 1, 2))
    seconds: dict[Kind, NDArray[np.float64]] = {"forward": one, "backward": one}
    ended = replay_each(seconds, seconds, np.array([[5.0]]), [order(1, 1, 2, 0)])
    assert ended["forward"].tolist() == [[[6.0, 8.0]]]


def test_orders_that_wait_for_each_other_are_refused_with_the_pass_that_waits() -> None:
    first: list[Task] = [("forward", 0, 0), ("backward", 0, 0), ("forward", 0, 1)]
    second: list[Task] = [("forward", 0, 1), ("forward", 0, 0), ("backward", 0, 0)]
    with pytest.raises(SpecError, match=r"stage 0 waits for ever .* backward pass of microbatch 0"):
        list(walk([first, second], 1))
