"""Measured against promised: the steady rule, the parts of a gap, drift, goodput over a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.catalog import files
from gigafactory.compare.comparison import of_log, of_run
from gigafactory.compare.measured import measure_run
from gigafactory.compare.promised import poisson_quantile, promised
from gigafactory.compare.steady import steady
from gigafactory.errors import SpecError
from gigafactory.run.ledger import history
from tests.made_run import begun, plan

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.compare.promised import Promised

STEP_S = 2.0
SPANS = {"data": 0.1, "forward_backward": 1.5, "data_comm": 0.2, "optimizer": 0.1, "other": 0.1}


@pytest.fixture(scope="module")
def ours() -> Promised:
    return promised(plan())


def test_warm_up_and_stalls_are_left_out_and_equal_steps_are_not() -> None:
    times = np.array([9.0, 3.0, 2.5, *[2.0] * 20, 2.01, 8.0])
    found = steady(times, np.arange(1, len(times) + 1))
    assert (found.warmup, found.outliers, int(found.used.sum())) == (3, 1, 21)


def test_the_first_steps_after_every_start_are_warm_up(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(10, STEP_S)
    made.crash(8, detect_s=1.0, restart_s=1.0, ready_s=1.0)
    made.steps(10, STEP_S)
    folder = made.folder
    steps, events = folder.steps(), folder.events()
    told = measure_run(steps, events, history(steps, events, folder.lost_steps()))
    assert told.left_out == {"warm-up": 6, "outliers": 0}
    assert (told.pace.mean_s, told.pace.used, told.steps) == (STEP_S, 12, 18)


def test_both_gaps_sum_exactly_to_what_they_explain(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(40, STEP_S, spans_s=SPANS)
    made.crash(30, detect_s=20.0, restart_s=1.0, ready_s=7.0)
    made.steps(3, 3.3, spans_s={name: 1.65 * s for name, s in SPANS.items()})
    made.steps(30, STEP_S * 1.01, spans_s={name: 1.01 * s for name, s in SPANS.items()})
    made.event("checkpoint_end", 1.5, duration_s=1.5)
    made.steps(1, STEP_S)
    told = of_run(tmp_path)
    assert told.wall is not None
    for gap in (told.step, told.wall):
        assert sum(one.share_s for one in gap.shares) == pytest.approx(gap.seconds, abs=1e-12)
    assert told.step.seconds == told.measured.pace.mean_s - told.promised.step_time_s.expected


@pytest.mark.parametrize(
    ("span", "cause"),
    [("forward_backward", "compute"), ("data_comm", "communication"), ("data", "data"),
     ("checkpoint", "checkpoint"), ("other", "other")],
)  # fmt: skip
def test_a_span_that_grows_explains_the_gap_it_makes(tmp_path: Path, span: str, cause: str) -> None:
    grown = {**SPANS, span: SPANS.get(span, 0.0) + 0.5}
    shares = []
    for name, spans, took in (("as planned", SPANS, STEP_S), ("grown", grown, STEP_S + 0.5)):
        made = begun(tmp_path / name)
        made.steps(30, took, spans_s=spans)
        shares.append({one.what: one.share_s for one in of_run(tmp_path / name).step.shares})
    changes = {what: shares[1][what] - shares[0][what] for what in shares[0]}
    assert changes.pop(cause) == pytest.approx(0.5)
    assert max(map(abs, changes.values())) < 1e-9


def test_a_step_in_which_the_run_evaluated_is_not_slower_for_it(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(30, STEP_S, spans_s=SPANS)
    made.steps(10, STEP_S + 5.0, spans_s=SPANS | {"evaluate": 5.0})
    told = of_run(tmp_path)
    assert told.measured.pace.mean_s == pytest.approx(STEP_S)
    assert told.wall is not None
    assert {s.what: s.share_s for s in told.wall.shares}["other"] == pytest.approx(1.25)


def test_an_outage_explains_the_wall_clock_and_not_the_step(tmp_path: Path) -> None:
    found = []
    for name, down_s in (("short", 10.0), ("long", 110.0)):
        made = begun(tmp_path / name)
        made.steps(40, STEP_S, spans_s=SPANS)
        made.crash(40, detect_s=down_s, restart_s=1.0, ready_s=1.0)
        made.steps(10, STEP_S, spans_s=SPANS)
        told = of_run(tmp_path / name)
        assert told.wall is not None
        found.append((told.step.shares, {s.what: s.share_s for s in told.wall.shares}))
    (step, short), (same, long) = found
    assert step == same
    assert long["restart"] - short["restart"] == pytest.approx(100.0 / 50)
    assert long["other"] == pytest.approx(short["other"])


def test_a_run_without_spans_explains_nothing_and_says_so(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(30, STEP_S)
    told = {one.what: one.share_s for one in of_run(tmp_path).step.shares}
    assert told.pop("other") != 0.0
    assert set(told.values()) == {0.0}


def test_a_folder_without_steps_cannot_be_compared(tmp_path: Path) -> None:
    made = begun(tmp_path)
    with pytest.raises(SpecError, match="run has no step yet"):
        of_run(tmp_path)
    made.steps(3, 1.0)
    with pytest.raises(SpecError, match="no step to measure yet: 3 steps, all warm-up"):
        of_run(tmp_path)


def test_goodput_over_a_short_time_allows_for_the_outages_that_chance_brings(
    ours: Promised,
) -> None:
    long_run, hour = ours.estimate.goodput, ours.goodput(3600.0)
    assert hour.expected == long_run.expected
    assert hour.low == long_run.low  # 64 GPUs: an hour with any outage is no chance
    larger = promised(plan(cluster=replace(plan().cluster, num_gpus=64), faults="imbue-h100"))
    assert larger.goodput(30 * 86_400.0).low <= larger.estimate.goodput.low
    for wall_s in (1.0, 3600.0, 86_400.0, 1e7):
        got = larger.goodput(wall_s)
        assert 0.0 <= got.low <= got.expected <= got.high <= 1.0


@pytest.mark.parametrize("mean", [0.0, 0.01, 0.5, 3.0, 40.0, 400.0, 600.0])
def test_the_poisson_quantile_is_scipys(mean: float) -> None:
    from scipy.stats import poisson

    assert abs(poisson_quantile(mean, 0.95) - poisson.ppf(0.95, mean)) <= (1 if mean > 500 else 0)


def log_of(tmp_path: Path, batch: int = 128, head: str = "") -> tuple[Path, Path]:
    written, log = tmp_path / "plan.toml", tmp_path / "run.log"
    files.write_plan(plan(), written)
    steps = [(n, 9000 if n == 1 else 2000 + n % 3) for n in range(1, 60)]
    told = [
        f" iteration {n:8d}/     500 | elapsed time per iteration (ms): {took} | global batch "
        f"size: {batch:5d} | lm loss: 2.5E+00 |"
        for n, took in steps
    ]
    log.write_text(head + "\n".join(told))
    return written, log


def test_a_log_is_held_against_a_plan(tmp_path: Path, ours: Promised) -> None:
    written, log = log_of(tmp_path)
    told = of_log(written, [log])
    assert (told.engine, told.wall, told.measured.left_out["warm-up"]) == ("megatron", None, 3)
    assert told.measured.pace.mean_s == pytest.approx(2.001, abs=1e-3)
    assert told.relative_error == pytest.approx(ours.step_time_s.expected / 2.001 - 1, abs=1e-3)
    assert {one.what for one in told.step.shares if one.share_s} == {"other"}


def test_a_log_of_another_batch_or_model_is_refused(tmp_path: Path) -> None:
    written, log = log_of(tmp_path, batch=256)
    with pytest.raises(SpecError, match="global batch size must be the plan's 128, got 256"):
        of_log(written, [log])
    head = "".join(f"  {name} {'.' * (48 - len(name))} {value}\n"
                   for name, value in (("num_layers", 80), ("world_size", 64),
                                       ("params_dtype", "torch.float16")))  # fmt: skip
    written, log = log_of(tmp_path, head=head)
    with pytest.raises(
        SpecError, match=r"num_layers must be the plan's 32, got 80; .*params_dtype must be"
    ):
        of_log(written, [log])
