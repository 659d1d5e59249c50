"""The closed forms of the pipeline against its replay, whatever the pipeline."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gigafactory.cost.pipeline import (
    microbatches_in_flight,
    pipeline_time_s,
    uneven_pipeline_time_s,
)
from gigafactory.cost.schedule import (
    chunk_layers,
    makespan_s,
    most_in_flight,
    order,
    replay,
    replay_each,
)

SECONDS = st.floats(min_value=1e-3, max_value=10.0)
DEPTHS = st.tuples(st.integers(2, 12), st.sampled_from([1, 2, 3, 4]), st.integers(1, 6))


class Pipeline(NamedTuple):
    """A realistic one: layers, up to two of them missing, embedding first, logits last."""

    forward_s: NDArray[np.float64]
    backward_s: NDArray[np.float64]
    inner_s: float
    pp: int
    vpp: int
    microbatches: int

    @property
    def stages_s(self) -> NDArray[np.float64]:
        return np.asarray((self.forward_s + self.backward_s).sum(axis=1))

    @property
    def replayed_s(self) -> float:
        return makespan_s(
            replay(self.forward_s, self.backward_s, 0.0, self.pp, self.vpp, self.microbatches)
        )

    @property
    def closed_s(self) -> float:
        slowest, mean = self.stages_s.max(), self.stages_s.mean()
        return float(pipeline_time_s(slowest, mean, self.pp, self.vpp, self.microbatches))


@st.composite
def pipelines(draw: st.DrawFn, rounds: int = 1) -> Pipeline:
    pp, vpp, _ = draw(DEPTHS)
    each = draw(st.integers(2, 6)) if vpp == 1 else draw(st.integers(1, 4))
    missing = draw(st.integers(0, 2 if pp > 2 else 1))
    backward = draw(st.floats(1.5, 3.2))
    embedding, head = draw(st.floats(0.0, 0.05)), draw(st.floats(0.1, 1.5))
    forward_s = chunk_layers(pp * vpp * each - missing, pp, vpp)
    backward_s = backward * forward_s
    forward_s[0, 0] += embedding / 2
    backward_s[0, 0] += embedding / 2
    forward_s[-1, -1] += head / 3
    backward_s[-1, -1] += 2 * head / 3
    microbatches = pp * draw(st.integers(rounds, 6))
    return Pipeline(forward_s, backward_s, vpp * each * (1 + backward), pp, vpp, microbatches)


@given(depths=DEPTHS, forward_s=SECONDS, backward_s=SECONDS)
def test_the_closed_form_is_exact_where_stages_are_alike(
    depths: tuple[int, int, int], forward_s: float, backward_s: float
) -> None:
    pp, vpp, rounds = depths
    even, both = np.ones((pp, vpp)), (forward_s + backward_s) * vpp
    events = replay(forward_s * even, backward_s * even, 0.0, pp, vpp, pp * rounds)
    closed = pipeline_time_s(both, both, pp, vpp, pp * rounds)
    assert makespan_s(events) == pytest.approx(float(closed), rel=1e-9)


@given(pp=st.integers(1, 12), microbatches=st.integers(1, 40))
def test_1f1b_is_exact_for_any_number_of_microbatches(pp: int, microbatches: int) -> None:
    even = np.ones((pp, 1))
    events = replay(even, 2 * even, 0.0, pp, 1, microbatches)
    assert makespan_s(events) == pytest.approx(float(pipeline_time_s(3, 3, pp, 1, microbatches)))


@given(pipelines(rounds=2))
@settings(max_examples=300, deadline=None)
def test_the_uneven_closed_form_is_within_one_percent_of_the_replay(one: Pipeline) -> None:
    stages, share = one.stages_s, float(one.forward_s[0, -1])
    share /= share + float(one.backward_s[0, -1])
    closed = uneven_pipeline_time_s(
        float(stages[0]),
        one.inner_s,
        float(stages[-1]),
        forward_share=share,
        pp=one.pp,
        vpp=one.vpp,
        microbatches=one.microbatches,
    )
    assert float(closed) == pytest.approx(one.replayed_s, rel=0.01)


@given(pipelines())
@settings(max_examples=300, deadline=None)
def test_the_plain_closed_form_is_never_half_a_percent_too_fast(one: Pipeline) -> None:
    assert one.closed_s >= 0.995 * one.replayed_s


@given(depths=DEPTHS)
def test_the_most_in_flight_of_the_replay_is_what_memory_counts(
    depths: tuple[int, int, int],
) -> None:
    pp, vpp, rounds = depths
    for stage in range(pp):
        kept = most_in_flight(order(pp, vpp, pp * rounds, stage), vpp)
        assert kept == pytest.approx(float(microbatches_in_flight(pp, vpp, pp * rounds, stage)))


@given(pipelines(), st.floats(0.0, 2.0))
@settings(deadline=None)
def test_no_pass_starts_before_its_stage_is_free_and_its_input_has_come(
    one: Pipeline, hop_s: float
) -> None:
    pp, vpp = one.pp, one.vpp
    events = replay(one.forward_s, one.backward_s, hop_s, pp, vpp, one.microbatches)
    ended = {(e.kind, e.chunk * pp + e.stage, e.microbatch): e.end_s for e in events}
    free = [0.0] * pp
    for e in events:
        depth = e.chunk * pp + e.stage + (-1 if e.kind == "forward" else 1)
        came = ended[e.kind, depth, e.microbatch] + hop_s if 0 <= depth < pp * vpp else 0.0
        assert e.start_s == max(free[e.stage], came)
        free[e.stage] = e.end_s
    assert len(ended) == len(events) == 2 * pp * vpp * one.microbatches


@given(pipelines(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_slower_hop_never_makes_a_faster_step(one: Pipeline, hop_s: float, more_s: float) -> None:
    ends = [
        makespan_s(replay(one.forward_s, one.backward_s, h, one.pp, one.vpp, one.microbatches))
        for h in (hop_s, hop_s + more_s)
    ]
    assert ends[0] <= ends[1] + 1e-9


@given(pipelines(), st.floats(0.0, 2.0))
@settings(deadline=None)
def test_passes_of_their_own_times_replay_as_those_of_one_time_where_they_are_equal(
    one: Pipeline, hop_s: float
) -> None:
    pp, vpp, microbatches = one.pp, one.vpp, one.microbatches
    events = replay(one.forward_s, one.backward_s, hop_s, pp, vpp, microbatches)
    every = np.ones((pp, vpp, microbatches))
    ended = replay_each(
        {
            "forward": one.forward_s[..., None] * every,
            "backward": one.backward_s[..., None] * every,
        },
        {"forward": hop_s * every, "backward": hop_s * every},
        np.zeros((pp, vpp)),
        [order(pp, vpp, microbatches, stage) for stage in range(pp)],
    )
    for e in events:
        assert ended[e.kind][e.stage, e.chunk, e.microbatch] == e.end_s
