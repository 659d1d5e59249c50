"""The exponential law against its paper's table, against dice, and against its linear form."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gigafactory.cost.goodput import (
    daly_interval_s,
    expected_wall_time_s,
    goodput,
    mtbf_s,
    optimal_interval_s,
    restart_time_s,
    rfo_interval_s,
    time_shares,
    young_interval_s,
)
from gigafactory.errors import SpecError
from gigafactory.spec.faults import FaultProfile
from gigafactory.spec.interval import Interval

# Aupy et al. 2013, Table 2: C = R = 600 s, D = 60 s, MTBF of one processor 125 years.
TABLE = Path(__file__).parent.parent / "data" / "aupy2013_table2.csv"
WRITE_S, RESTART_S, DETECT_S = 600.0, 600.0, 60.0

LLAMA3 = FaultProfile(
    name="llama3-h100",
    title="Llama 3 405B",
    failures_per_1000_node_days=Interval(low=2.3, expected=3.79, high=4.29),
    large_scale_failures_per_1000_node_days=Interval(low=2.3, expected=3.79, high=6.4),
    detect_s=Interval(low=60.0, expected=150.0, high=600.0),
    restart_gpus=(16_384, 22_528, 65_536, 98_304),
    restart_s=(200.0, 300.0, 600.0, 900.0),
)


def table_row(num_processors: int) -> dict[str, float]:
    with TABLE.open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return next(row for row in rows if row["N"] == num_processors)


@pytest.mark.parametrize("num_processors", [2**k for k in range(10, 20)])
def test_all_four_intervals_match_the_published_table(num_processors: int) -> None:
    row = table_row(num_processors)
    mu_s = row["mu_s"]
    assert young_interval_s(mu_s, WRITE_S) == pytest.approx(row["young_s"], abs=1)
    assert daly_interval_s(mu_s, WRITE_S, RESTART_S, DETECT_S) == pytest.approx(
        row["daly_s"], abs=1
    )
    assert rfo_interval_s(mu_s, WRITE_S, RESTART_S, DETECT_S) == pytest.approx(row["rfo_s"], abs=1)
    # The paper searched its optimum on a grid; on its largest machines' flat tops 0.13 % coarse.
    assert optimal_interval_s(mu_s, WRITE_S) == pytest.approx(row["optimal_s"], rel=1.3e-3)
    if num_processors >= 8192:
        assert optimal_interval_s(mu_s, WRITE_S) == pytest.approx(row["optimal_s"], abs=1)


@pytest.mark.parametrize("write_s", [1e-3, 1.0, 60.0, 5_000.0])
@pytest.mark.parametrize("gap_s", [100.0, 1_080.0, 1e5, 1e8])
def test_no_period_near_the_optimal_one_is_better(gap_s: float, write_s: float) -> None:
    best_s = float(optimal_interval_s(gap_s, write_s))
    best = float(time_shares(gap_s, best_s, write_s, 300.0, 60.0).goodput)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        period_s = write_s + (best_s - write_s) * factor
        other = float(time_shares(gap_s, period_s, write_s, 300.0, 60.0).goodput)
        assert other <= best * (1 + 1e-12)


def played_period_s(
    rng: np.random.Generator,
    num: int,
    *,
    gap_s: float,
    period_s: float,
    restart_s: float,
    detect_s: float,
) -> NDArray[np.float64]:
    """Return the wall seconds of `num` periods played with random failures."""
    wall_s = np.zeros(num)
    stage = np.zeros(num, dtype=int)  # 0 works and checkpoints, 1 restarts, 2 is done
    while (stage < 2).any():
        alive = stage < 2
        needed_s = np.where(stage == 0, period_s, restart_s)
        until_s = rng.exponential(gap_s, num)
        fails = until_s < needed_s
        wall_s += alive * np.where(fails, until_s + detect_s, needed_s)
        stage = np.where(alive, np.where(fails, 1, np.where(stage == 0, 2, 0)), stage)
    return wall_s


@pytest.mark.parametrize(
    ("gap_s", "period_s"), [(1_080.0, 200.0), (1_080.0, 1_500.0), (11_000.0, 800.0)]
)
def test_the_law_agrees_with_played_failures_within_their_standard_error(
    gap_s: float, period_s: float
) -> None:
    write_s, restart_s, detect_s, num = 20.0, 900.0, 60.0, 40_000
    rng = np.random.default_rng(20_130)
    wall_s = played_period_s(
        rng, num, gap_s=gap_s, period_s=period_s, restart_s=restart_s, detect_s=detect_s
    )
    law = float(time_shares(gap_s, period_s, write_s, restart_s, detect_s).goodput)
    expected_s = expected_wall_time_s(period_s - write_s, law)
    error_s = float(wall_s.std(ddof=1)) / num**0.5
    assert abs(float(wall_s.mean()) - expected_s) < 3 * error_s
    assert error_s < 0.02 * expected_s


def linear_ettr(gap_s: float, interval_s: float, write_s: float, restart_s: float) -> float:
    """Return the first-order effective training time ratio of arXiv 2410.21680."""
    return (1 - (restart_s + interval_s / 2) / gap_s) / (1 + write_s / interval_s)


def test_the_linear_form_agrees_at_16k_gpus_and_breaks_down_at_100k() -> None:
    small = goodput(LLAMA3, 16_384, blocking_s=5.0)
    down_s = small.restart_s + small.detect_s.expected
    linear = linear_ettr(small.mtbf_s.expected, small.interval_s, 5.0, down_s)
    assert small.goodput.expected == pytest.approx(linear, abs=0.01)
    large = goodput(LLAMA3, 100_000, blocking_s=5.0)
    down_s = large.restart_s + large.detect_s.expected
    linear = linear_ettr(large.mtbf_s.expected, large.interval_s, 5.0, down_s)
    assert abs(large.goodput.expected - linear) > 0.1
    assert linear_ettr(large.mtbf_s.low, large.interval_s, 5.0, down_s + 450) < 0
    assert large.goodput.low > 0.1


def test_the_gap_between_failures_spans_the_published_rates() -> None:
    at_16k = mtbf_s(LLAMA3, 16_384)
    assert at_16k.expected == pytest.approx(3.09 * 3600, rel=0.01)  # 419 in 54 days
    at_100k = mtbf_s(LLAMA3, 100_000)
    assert at_100k.low == pytest.approx(18 * 60)  # FT-HSDP, measured
    assert at_100k.expected == pytest.approx(30 * 60, rel=0.02)  # the Llama 3 rate, linear
    assert at_100k.high == pytest.approx(50 * 60, rel=0.01)  # FT-HSDP's 32K rate, linear


def test_the_failure_rate_does_not_jump_where_growth_begins() -> None:
    below, above = mtbf_s(LLAMA3, 32_768), mtbf_s(LLAMA3, 32_769)
    assert above.low == pytest.approx(below.low, rel=1e-4)
    assert mtbf_s(LLAMA3, 65_536).low < below.low / 2


def test_a_restart_takes_as_long_as_timed_and_longer_beyond() -> None:
    table = (LLAMA3.restart_gpus, LLAMA3.restart_s)
    sizes = np.array([8.0, 16_384.0, 98_304.0])
    assert restart_time_s(sizes, *table).tolist() == [200.0, 200.0, 900.0]
    assert float(restart_time_s(131_072, *table)) == pytest.approx(1_200.0)


def test_goodput_reports_where_the_rest_went() -> None:
    estimate = goodput(LLAMA3, 98_304, blocking_s=1.0)
    assert sum(estimate.lost.values()) + estimate.goodput.expected == pytest.approx(1.0)
    assert set(estimate.lost) == {"detect", "restart", "rework", "checkpoint"}
    assert max(estimate.lost, key=lambda name: estimate.lost[name]) == "restart"


def test_storage_that_is_slow_stretches_the_interval() -> None:
    free = goodput(LLAMA3, 16_384, blocking_s=1.0)
    slow = goodput(LLAMA3, 16_384, blocking_s=1.0, least_interval_s=1_800.0)
    assert slow.interval_s == 1_800.0
    assert slow.optimal_interval_s == free.interval_s < 1_800.0
    assert slow.goodput.expected < free.goodput.expected


@pytest.mark.parametrize("num_gpus", [8, 10**5, 10**7, 10**9])
def test_goodput_is_a_share_at_any_scale(num_gpus: int) -> None:
    share = goodput(LLAMA3, num_gpus, blocking_s=1.0).goodput
    assert 0 < share.low <= share.expected <= share.high < 1


@pytest.mark.parametrize("interval_s", [1.0, 0.5])
def test_an_interval_no_longer_than_its_own_write_is_refused(interval_s: float) -> None:
    with pytest.raises(SpecError, match="interval_s must be above blocking_s"):
        goodput(LLAMA3, 8, blocking_s=1.0, interval_s=interval_s)


def test_a_checkpoint_that_costs_nothing_has_no_best_interval() -> None:
    with pytest.raises(SpecError, match="must be above 0"):
        optimal_interval_s(1_000.0, 0.0)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"restart_s": (200.0,)}, "restart_s must hold one number per size"),
        ({"restart_gpus": (4, 3, 2, 1)}, "restart_gpus must be positive and ascending"),
        ({"restart_s": (900.0, 600.0, 300.0, 200.0)}, "never fall with size"),
        ({"large_scale_gpus": 1_000}, "must be above linear_up_to_gpus"),
        ({"failures_per_1000_node_days": Interval.point(9.0)}, "must not be below"),
        ({"failures_per_1000_node_days": Interval.point(0.0)}, "must be above 0"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(change: dict[str, object], rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        replace(LLAMA3, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [(2.0, 1.0, 3.0), (1.0, 4.0, 3.0), (float("nan"), 1.0, 2.0)])
def test_an_interval_out_of_order_is_refused(ends: tuple[float, float, float]) -> None:
    with pytest.raises(SpecError, match="interval: "):
        Interval(low=ends[0], expected=ends[1], high=ends[2])
