"""When a job is struck, by what, and how many servers it takes with it.

A failure comes when the hazard that has passed since the last one reaches a draw G of mean 1:

    integral of n(t) r(n(t)) b(t) dt = G

with n servers, r the published rate of one (superlinear above the size named in the profile) and
b the factor of the first days of new servers. G is exponential, or a mixture of two exponentials
whose short one makes bursts; its variation is the profile's. So a machine that grows, ages or
loses replicas keeps its law. Ignored: failures while the job waits for a diagnosis or a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.goodput import mtbf_s
from gigafactory.errors import SpecError
from gigafactory.spec.faults import COMPONENTS, STAYING, Bursts
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.spec.faults import FaultProfile

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

SLOW: Final = "slow server"
UNNAMED: Final = "unknown"
EXPONENTIAL: Final = Bursts(short_share=0.0, short_over_mean=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The failures of one job, made ready to be drawn.

    Attributes:
        profile: Where all of it comes from.
        bursts: Law of the gaps, in units of their mean.
        causes: Names; the last one is a slow spell where the profile counts them.
        edges: Cumulated shares of the causes.
        drains: Whether each cause takes its servers out for repair, `[cause]`.
        silent: Whether each cause is silent data corruption, `[cause]`.
        slow_share: Share of events that slow the job and do not stop it.
        group_nodes: Servers that one failure takes, `[size]`.
        group_edges: Cumulated shares of the sizes.
        repair: Repair times at even steps of probability, in seconds.
    """

    profile: FaultProfile
    bursts: Bursts
    causes: tuple[str, ...]
    edges: Floats
    drains: NDArray[np.bool_]
    silent: NDArray[np.bool_]
    slow_share: float
    group_nodes: Index
    group_edges: Floats
    repair: Floats

    def gap_s(self, num_gpus: int) -> float:
        """Return the mean seconds between events of a job, slow spells counted in.

        1 / (1 / MTTF + n r_slow); MTTF by `cost.goodput.mtbf_s`.
        """
        failures_s = mtbf_s(self.profile, num_gpus).expected
        return failures_s * (1.0 - self.slow_share_of(num_gpus))

    def slow_share_of(self, num_gpus: int) -> float:
        """Return the share of events that are slow spells, at a size."""
        slow = self.profile.slow
        if slow is None:
            return 0.0
        nodes = num_gpus / self.profile.gpus_per_node
        rate = nodes * slow.per_1000_node_days / 1000.0 / SECONDS_PER_DAY
        return rate / (rate + 1.0 / mtbf_s(self.profile, num_gpus).expected)

    def gaps(self, rng: np.random.Generator, number: int) -> Floats:
        """Return draws of the hazard between two events, of mean 1, `[number]`."""
        return drawn_gaps(self.bursts, rng, number)

    def cause(self, rng: np.random.Generator, number: int) -> Index:
        """Return the cause of each event, `[number]`."""
        found: Index = np.searchsorted(self.edges, rng.random(number), side="right")
        return np.minimum(found, len(self.edges) - 1)

    def group(self, rng: np.random.Generator, number: int) -> Index:
        """Return how many servers each failure takes, `[number]`."""
        if len(self.group_nodes) == 1:
            return np.full(number, self.group_nodes[0])
        found = np.searchsorted(self.group_edges, rng.random(number), side="right")
        sizes: Index = self.group_nodes[np.minimum(found, len(self.group_nodes) - 1)]
        return sizes

    def repair_s(self, rng: np.random.Generator, number: int) -> Floats:
        """Return draws of the seconds until a server is back, `[number]`."""
        at = rng.random(number) * (len(self.repair) - 1)
        return np.interp(at, np.arange(len(self.repair)), self.repair)


def drawn_gaps(bursts: Bursts, rng: np.random.Generator, number: int) -> Floats:
    """Return draws of mean 1 of a mixture of a short and a long exponential, `[number]`."""
    made = rng.standard_exponential(number)
    if bursts.short_share == 0:
        return made
    short = rng.random(number) < bursts.short_share
    made *= np.where(short, bursts.short_over_mean, bursts.long_over_mean)
    return made


def bursts_of(variation: float) -> Bursts:
    """Return the mixture of balanced means that has a variation (standard deviation over mean).

    Both exponentials carry half of the mean: p = (1 + sqrt((c^2 - 1) / (c^2 + 1))) / 2 of the gaps
    are short, with mean 1 / (2 p). Source: Whitt, Approximating a Point Process by a Renewal
    Process, Operations Research 30 (1982) 125-147, section 3. Gaps more regular than exponential
    ones (c < 1) have no such mixture; they are taken as exponential.

    >>> round(bursts_of(1.76).short_share, 3)
    0.858
    """
    if variation <= 1:
        return EXPONENTIAL
    share = (1.0 + np.sqrt((variation**2 - 1.0) / (variation**2 + 1.0))) / 2.0
    return Bursts(short_share=float(share), short_over_mean=float(0.5 / share))


def variation_of(bursts: Bursts) -> float:
    """Return standard deviation over mean of the gaps."""
    p, short, long = bursts.short_share, bursts.short_over_mean, bursts.long_over_mean
    return float(np.sqrt(2.0 * (p * short**2 + (1 - p) * long**2) - 1.0))


def failures(profile: FaultProfile, num_gpus: int, arrivals: str = "profile") -> Failures:
    """Return the failures of a job of `num_gpus`.

    Args:
        profile: Rates, causes, repairs.
        num_gpus: Size for which the share of slow spells holds.
        arrivals: "profile" for the gaps it knows, "exponential" for failures without memory.

    Raises:
        SpecError: No such kind of arrivals.
    """
    if arrivals not in ("profile", "exponential"):
        raise SpecError(
            f"--arrivals must be profile or exponential, got {arrivals!r}", field="arrivals"
        )
    known = profile.bursts or bursts_of(profile.inter_arrival_cv or 1.0)
    names, shares = _causes(profile)
    found = Failures(
        profile=profile,
        bursts=EXPONENTIAL if arrivals == "exponential" else known,
        causes=names,
        edges=np.cumsum(shares),
        drains=np.array([component(profile, one) not in STAYING for one in names]),
        silent=np.array([component(profile, one) == "sdc" for one in names]),
        slow_share=0.0,
        group_nodes=np.array(profile.group_nodes or (1,), dtype=np.int64),
        group_edges=np.cumsum(profile.group_share or (1.0,)),
        repair=repair_table(profile),
    )
    return _with_slow(found, found.slow_share_of(num_gpus))


def _causes(profile: FaultProfile) -> tuple[tuple[str, ...], Floats]:
    counts = {name: number for name, number in profile.causes.items() if number > 0}
    counts = counts or {"unnamed": 1}
    shares = np.array(list(counts.values()), dtype=np.float64)
    return tuple(counts), shares / shares.sum()


def _with_slow(found: Failures, share: float) -> Failures:
    """Return the failures with slow spells as their last cause."""
    from dataclasses import replace

    if share == 0:
        return found
    return replace(
        found,
        causes=(*found.causes, SLOW),
        edges=np.append(found.edges * (1.0 - share), 1.0),
        drains=np.append(found.drains, False),
        silent=np.append(found.silent, False),
        slow_share=share,
    )


def component(profile: FaultProfile, cause: str) -> str:
    """Return the part of the machine behind a cause: named by the profile, or the cause itself.

    A cause that nobody assigned takes its server out: "host".
    """
    named = profile.components.get(cause, cause.lower())
    return named if named in COMPONENTS else "host"


REPAIR_POINTS: Final = 4097
LONGEST_REPAIR: Final = 0.9998  # quantile; a lognormal has no longest repair, a table needs one


def repair_table(profile: FaultProfile) -> Floats:
    """Return repair times at even steps of probability, in seconds.

    As the profile tabulates them, else lognormal by median and mean:
    sigma^2 = 2 ln(mean / median), the last of them as long as the mean asks for. Without either a
    server is back at once.
    """
    if profile.repair_quantiles_s:
        return np.array(profile.repair_quantiles_s)
    median, mean = profile.repair_median_s, profile.repair_mean_s
    if median is None:
        return np.zeros(2)
    sigma = np.sqrt(2.0 * np.log(max((mean or median) / median, 1.0)))
    probability = np.linspace(1.0 - LONGEST_REPAIR, LONGEST_REPAIR, REPAIR_POINTS)
    table: Floats = median * np.exp(sigma * _normal_quantile(probability))
    missing = (mean or 0.0) - float((table[1:] + table[:-1]).mean()) / 2.0
    if sigma:
        table[-1] += max(missing, 0.0) * 2.0 * (REPAIR_POINTS - 1)
    return table


def _normal_quantile(probability: Floats) -> Floats:
    from statistics import NormalDist

    inverse = NormalDist().inv_cdf
    return np.array([inverse(one) for one in probability.tolist()])


def rate_per_component(profile: FaultProfile) -> dict[str, float]:
    """Return failures per 1,000 node-days of each part of the machine, most frequent first."""
    names, shares = _causes(profile)
    rates: dict[str, float] = {}
    for name, part in zip(names, shares, strict=True):
        key = component(profile, name)
        rate = float(part) * profile.failures_per_1000_node_days.expected
        rates[key] = rates.get(key, 0.0) + rate
    return dict(sorted(rates.items(), key=lambda pair: -pair[1]))


def lemon_rates(profile: FaultProfile) -> tuple[float, float]:
    """Return the failure rate of a lemon and of another server, over the mean of all.

    With a share a of the servers that causes a share b of the failures: b / a, (1 - b) / (1 - a).

    >>> from gigafactory.catalog import loader
    >>> [round(rate, 2) for rate in lemon_rates(loader.faults("llama3-h100"))]
    [4.1, 0.66]
    """
    nodes, caused = profile.lemon_node_share, profile.lemon_failure_share
    if not nodes or not caused or nodes >= 1:
        return 1.0, 1.0
    return caused / nodes, (1.0 - caused) / (1.0 - nodes)
