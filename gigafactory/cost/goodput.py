"""Share of wall time that trains, under failures and periodic checkpoints.

The law is exact for failures that arrive at random (exponential gaps) and may strike during work,
checkpoint and restart, though not during detection. A period of length T ends with a blocking
write of C seconds; a failure costs D seconds to detect, R to restart, and the work since the last
checkpoint. With the mean time between failures mu the expected wall time of one period is

    E = (mu + D) exp(R / mu) (exp(T / mu) - 1)        and the goodput is (T - C) / E.

Left out: planned interruptions, failures that come in bursts, waiting for spares, and running on
with fewer accelerators. The simulator plays those out.

Source: Aupy et al. 2013, exact expectation for exponential failures; Table 2 holds test values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.spec.faults import FaultProfile

Number: TypeAlias = "float | NDArray[np.float64]"

# Newton's method on a concave function, started on its far side, doubles its digits each turn.
_NEWTON_STEPS: Final = 8
# exp(-700) is still a normal float; beyond it the answer no longer changes.
_LARGEST_EXPONENT: Final = 700.0
# A goodput below this is printed as this: no run ends, and no division by zero follows.
SMALLEST_GOODPUT: Final = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShares:
    """Where wall time goes; the five shares sum to 1."""

    goodput: Any
    checkpoint: Any
    rework: Any
    restart: Any
    detect: Any

    def lost(self) -> dict[str, float]:
        """Return the four lost shares by name."""
        names = ("detect", "restart", "rework", "checkpoint")
        return {name: float(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputEstimate:
    """Goodput of one job with everything it rests on.

    Attributes:
        goodput: Low at the worst published failure rate and detection, high at the best.
        lost: Lost shares of wall time in the expected case; with the goodput they sum to 1.
        interval_s: Checkpoint period used, blocking write included.
        optimal_interval_s: The period that would maximise the expected goodput.
    """

    goodput: Interval
    lost: dict[str, float]
    mtbf_s: Interval
    interval_s: float
    optimal_interval_s: float
    blocking_s: float
    restart_s: float
    detect_s: Interval


def failures_per_node_s(
    num_gpus: Number,
    per_1000_node_days: float,
    large_scale_per_1000_node_days: float,
    linear_up_to_gpus: float,
    large_scale_gpus: float,
) -> Any:
    """Return the failures per second of one node inside a job of `num_gpus`.

    Constant up to `linear_up_to_gpus`; above, a power law that meets the rate published for
    `large_scale_gpus`, continuous where it begins.
    """
    growth = large_scale_per_1000_node_days / per_1000_node_days
    exponent = np.log(growth) / np.log(large_scale_gpus / linear_up_to_gpus)
    scale = np.maximum(num_gpus / linear_up_to_gpus, 1.0)
    return per_1000_node_days / 1000.0 / SECONDS_PER_DAY * scale**exponent


def mtbf_s(profile: FaultProfile, num_gpus: int) -> Interval:
    """Return the seconds between interruptions of a job; low at the highest failure rate.

    1 / (nodes x failures per node and second): valid for jobs that fill many nodes.
    Source: Kokolis et al. 2024 (arXiv 2410.21680), MTTF projection; superlinear rate at 100,000
    GPUs from FT-HSDP (arXiv 2602.00277).
    """
    near = profile.failures_per_1000_node_days
    far = profile.large_scale_failures_per_1000_node_days or near
    num_nodes = num_gpus / profile.gpus_per_node

    def gap_s(near_rate: float, far_rate: float) -> float:
        rate = failures_per_node_s(
            num_gpus, near_rate, far_rate, profile.linear_up_to_gpus, profile.large_scale_gpus
        )
        return float(1.0 / (num_nodes * rate))

    return Interval(
        low=gap_s(near.high, far.high),
        expected=gap_s(near.expected, far.expected),
        high=gap_s(near.low, far.low),
    )


def restart_time_s(num_gpus: Number, at_gpus: tuple[int, ...], at_s: tuple[float, ...]) -> Any:
    """Return the seconds of a cold restart of `num_gpus`, read from a table by job size.

    Linear between the sizes, constant below the first, and above the last along the line of the
    last two: start-up work that every rank waits for grows with their number.

    >>> float(restart_time_s(24_000, (16_000, 32_000), (200.0, 300.0)))
    250.0
    """
    inside = np.interp(num_gpus, at_gpus, at_s)
    if len(at_gpus) == 1:
        return inside
    slope = (at_s[-1] - at_s[-2]) / (at_gpus[-1] - at_gpus[-2])
    return inside + slope * np.maximum(num_gpus - at_gpus[-1], 0.0)


def young_interval_s(mtbf_s: Number, blocking_s: Number) -> Any:
    """Return Young's first-order checkpoint period sqrt(2 mu C) + C in seconds."""
    return np.sqrt(2.0 * mtbf_s * blocking_s) + blocking_s


def daly_interval_s(mtbf_s: Number, blocking_s: Number, restart_s: Number, detect_s: Number) -> Any:
    """Return Daly's checkpoint period sqrt(2 (mu + D + R) C) + C in seconds."""
    return np.sqrt(2.0 * (mtbf_s + detect_s + restart_s) * blocking_s) + blocking_s


def rfo_interval_s(mtbf_s: Number, blocking_s: Number, restart_s: Number, detect_s: Number) -> Any:
    """Return the refined first-order period sqrt(2 (mu - D - R) C) in seconds.

    Has no value where detection and restart take longer than the time between failures.
    """
    return np.sqrt(2.0 * (mtbf_s - detect_s - restart_s) * blocking_s)


def optimal_interval_s(mtbf_s: Any, blocking_s: Any) -> Any:
    """Return the checkpoint period of highest goodput: mu (1 + W0(-exp(-1 - C / mu))) + C.

    The time to detect and to restart multiplies every period alike and so drops out.
    Source: stationary point of the law of this module (Aupy et al. 2013), W0 after Lambert.

    >>> round(float(optimal_interval_s(7519.0, 600.0)))
    3218

    Raises:
        SpecError: A time is not above 0; a write that costs nothing has no best period.
    """
    if np.any(mtbf_s <= 0 * mtbf_s) or np.any(blocking_s <= 0 * blocking_s):
        raise SpecError("optimal checkpoint interval: mtbf_s and blocking_s must be above 0")
    return mtbf_s * one_plus_lambert_w(blocking_s / mtbf_s) + blocking_s


def one_plus_lambert_w(ratio: Any) -> Any:
    """Return 1 + W0(-exp(-1 - ratio)) for a ratio above 0, by Newton's method.

    W = -w solves log(w) + 1 - w + ratio = 0 for w below 1; in this form a small ratio, that is a
    write far shorter than the time between failures, keeps its digits.
    """
    ratio = np.minimum(ratio, _LARGEST_EXPONENT)
    w = np.maximum(np.exp(-1.0 - ratio), 1.0 - np.sqrt(2.0 * ratio))
    for _ in range(_NEWTON_STEPS):
        w = w - w * (np.log(w) + 1.0 - w + ratio) / (1.0 - w)
    return 1.0 - w


def time_shares(
    mtbf_s: Any, interval_s: Any, blocking_s: Any, restart_s: Any, detect_s: Any
) -> TimeShares:
    """Return the shares of wall time that train, checkpoint, redo work, restart and detect.

    All divided by exp((T + R) / mu), so that nothing overflows when failures come faster than
    restarts; there the goodput falls towards 0 and never below (see SMALLEST_GOODPUT).
    """
    up = mtbf_s / (mtbf_s + detect_s)
    restarted = np.exp(-restart_s / mtbf_s)
    failed = -np.expm1(-interval_s / mtbf_s)
    done = up * restarted * (interval_s / mtbf_s) * np.exp(-interval_s / mtbf_s) / failed
    blocked = blocking_s / interval_s
    return TimeShares(
        goodput=np.maximum(done * (1.0 - blocked), SMALLEST_GOODPUT),
        checkpoint=done * blocked,
        # A difference of near equals for a period far below the mean: rounding may pass zero.
        rework=np.maximum(up * restarted - done, 0.0),
        restart=up * (1.0 - restarted),
        detect=detect_s / (mtbf_s + detect_s),
    )


def expected_wall_time_s(work_s: Any, goodput: Any) -> Any:
    """Return the expected seconds from start to end of `work_s` seconds of training steps."""
    return work_s / goodput


def goodput(
    profile: FaultProfile,
    num_gpus: int,
    *,
    blocking_s: float,
    least_interval_s: float = 0.0,
    interval_s: float | None = None,
) -> GoodputEstimate:
    """Return the goodput of a job of `num_gpus` that checkpoints every `interval_s`.

    Without an interval it takes the best one for the expected failure rate, though none shorter
    than `least_interval_s`, in which the storage must finish the checkpoint before the next.
    An interval counts its blocking write, during which training stands still for `blocking_s`.

    Raises:
        SpecError: blocking_s is not above 0, or the interval is not above blocking_s.
    """
    gap_s = mtbf_s(profile, num_gpus)
    best_s = float(optimal_interval_s(gap_s.expected, blocking_s))
    period_s = max(best_s, least_interval_s) if interval_s is None else interval_s
    if period_s <= blocking_s:
        rule = f"must be above blocking_s ({blocking_s})"
        raise SpecError(f"goodput: interval_s {rule}, got {period_s}", field="interval_s")
    restart_s = float(restart_time_s(num_gpus, profile.restart_gpus, profile.restart_s))
    cases = _three_cases(gap_s, period_s, blocking_s, restart_s, profile.detect_s)
    low, expected, high = (float(case.goodput) for case in cases)
    return GoodputEstimate(
        goodput=Interval(low=low, expected=expected, high=high),
        lost=cases[1].lost(),
        mtbf_s=gap_s,
        interval_s=period_s,
        optimal_interval_s=best_s,
        blocking_s=blocking_s,
        restart_s=restart_s,
        detect_s=profile.detect_s,
    )


def _three_cases(
    gap_s: Interval, period_s: float, blocking_s: float, restart_s: float, detect_s: Interval
) -> tuple[TimeShares, TimeShares, TimeShares]:
    """Return the shares at the worst, the expected and the best failure rate and detection."""
    return (
        time_shares(gap_s.low, period_s, blocking_s, restart_s, detect_s.high),
        time_shares(gap_s.expected, period_s, blocking_s, restart_s, detect_s.expected),
        time_shares(gap_s.high, period_s, blocking_s, restart_s, detect_s.low),
    )
