"""One step of operations, small enough to check by hand."""

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.operation_replay import replayed_steps_s
from gigafactory.cost.schedule import order

Floats = NDArray[np.float64]


def lanes(*stages: object) -> Floats:
    """Return [stage, slot, step, replica] of one step, from [slot, replica] of each stage."""
    return np.array(stages, dtype=np.float64)[:, :, None, :]


def test_one_worker_does_one_thing_after_another() -> None:
    seconds = {
        "params-all-gather": lanes([[1.0]]),
        "forward-compute": lanes([[2.0], [3.0]]),
        "backward-compute": lanes([[4.0], [5.0]]),
        "gc": lanes([[0.5]]),
        "optimizer": lanes([[6.0]]),
    }
    assert replayed_steps_s(seconds, [order(1, 1, 2, 0)]).tolist() == [21.5]


def test_replicas_meet_where_they_collect_gradients() -> None:
    seconds = {
        "forward-compute": lanes([[1.0, 4.0]]),
        "backward-compute": lanes([[2.0, 1.0]]),
        "grads-reduce-scatter": lanes([[0.5, 0.25]]),
        "optimizer": lanes([[3.0, 1.0]]),
    }
    # Both come by 5; the first is done 0.5 later and then optimizes for 3.
    assert replayed_steps_s(seconds, [order(1, 1, 1, 0)]).tolist() == [8.5]


def test_steps_know_nothing_of_each_other() -> None:
    passes = np.array([1.0, 10.0])[None, None, :, None]
    seconds = {"forward-compute": passes, "backward-compute": 2 * passes}
    assert replayed_steps_s(seconds, [order(1, 1, 1, 0)]).tolist() == [3.0, 30.0]


def test_a_receive_delays_the_pass_it_feeds_and_the_end_stages_share_a_reduction() -> None:
    missing = [[np.nan]]
    seconds = {
        "forward-compute": lanes([[1.0]], [[2.0]], [[3.0]]),
        "backward-compute": lanes([[1.0]], [[2.0]], [[3.0]]),
        "forward-recv": lanes(missing, [[0.1]], [[0.2]]),
        "backward-recv": lanes([[0.4]], [[0.3]], missing),
        "embedding-grads-all-reduce": lanes([[5.0]], missing, [[5.0]]),
    }
    orders = [order(3, 1, 1, stage) for stage in range(3)]
    # Down: 1 + .1 + 2 + .2 + 3 + 3 = 9.3; up: + .3 + 2 + .4 + 1 = 13.0; then 5 together.
    assert np.allclose(replayed_steps_s(seconds, orders), 18.0)


def test_the_whole_model_meets_to_clip_its_gradients() -> None:
    seconds = {
        "forward-compute": lanes([[1.0, 1.0]], [[1.0, 1.0]]),
        "backward-compute": lanes([[1.0, 1.0]], [[1.0, 7.0]]),
        "forward-recv": lanes([[np.nan, np.nan]], [[0.0, 0.0]]),
        "backward-recv": lanes([[0.0, 0.0]], [[np.nan, np.nan]]),
        "optimizer-clip-main-grad": lanes([[0.5, 0.5]], [[0.5, 0.5]]),
        "optimizer": lanes([[1.0, 1.0]], [[9.0, 1.0]]),
    }
    # Stage 0 of replica 1 ends its passes last, at 10; all wait, then one optimizes longest.
    orders = [order(2, 1, 1, stage) for stage in range(2)]
    assert replayed_steps_s(seconds, orders).tolist() == [19.5]


def test_a_chunk_waits_for_its_own_parameters_only() -> None:
    seconds = {
        "params-all-gather": lanes([[1.0], [9.0]], [[1.0], [1.0]]),
        "forward-compute": np.ones((2, 4, 1, 1)),
        "backward-compute": np.ones((2, 4, 1, 1)),
        "forward-recv": np.zeros((2, 4, 1, 1)),
        "backward-recv": np.zeros((2, 4, 1, 1)),
    }
    orders = [order(2, 2, 2, stage) for stage in range(2)]
    # Stage 0 goes into its chunk 1 at 10 and feeds stage 1 at 11 and 12. That does forward and
    # backward twice by 15; microbatch 1 then passes stage 0, stage 1 and stage 0 again.
    assert replayed_steps_s(seconds, orders).tolist() == [18.0]


def test_gradients_collected_under_the_backward_passes_cost_what_sticks_out() -> None:
    seconds = {
        "forward-compute": np.ones((1, 1, 1, 1)),
        "backward-compute": np.full((1, 1, 1, 1), 2.0),
        "grads-reduce-scatter": np.full((1, 1, 1, 1), 0.5),
        "gc": np.full((1, 1, 1, 1), 0.25),
    }
    alone = replayed_steps_s(seconds, [order(1, 1, 1, 0)])
    overlapped = replayed_steps_s(
        seconds | {"separate-grads-all-reduce": np.full((1, 1, 1, 1), 0.125)}, [order(1, 1, 1, 0)]
    )
    # Under the passes they come half a second after them, while garbage is collected.
    assert (alone[0], overlapped[0]) == (3.75, 3.625)
