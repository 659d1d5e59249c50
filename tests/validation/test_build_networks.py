"""The critical path against textbooks and networkx; sampled odds against closed forms."""

from __future__ import annotations

from math import erf, exp, prod, sqrt
from typing import Any, Final

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest
from scipy import stats

from gigafactory.build.durations import sampled
from gigafactory.build.montecarlo import courses
from gigafactory.build.network import Network, critical_path, network_of
from gigafactory.spec.duration import Duration
from gigafactory.spec.project import Alternative, Risk
from tests.made_project import Tasks, ended, project

POINT: Final = 0.01  # of probability: what is promised of 100,000 courses
SAMPLES: Final = 100_000
# Hillier and Lieberman, Introduction to Operations Research, PERT/CPM chapter: Reliable
# Construction Co.; 44 weeks along A-B-C-E-F-J-L-N.
RELIABLE: Final[Tasks] = {
    "A": (2, ""), "B": (4, "A"), "C": (10, "B"), "D": (6, "C"), "E": (4, "C"), "F": (5, "E"),
    "G": (7, "D"), "H": (9, "EG"), "I": (7, "C"), "J": (8, "FI"), "K": (4, "J"), "L": (5, "J"),
    "M": (2, "H"), "N": (6, "KL"),
}  # fmt: skip
RELIABLE_SLACK: Final = dict.fromkeys("ABCEFJLN", 0.0) | {
    "D": 4, "G": 4, "H": 4, "I": 2, "K": 1, "M": 4,
}  # fmt: skip
# Heizer and Render, Operations Management, Project Management chapter: Milwaukee Paper
# Manufacturing; 15 weeks along A-C-E-G-H, variance 3.11, 71.57 % by week 16.
MILWAUKEE: Final = {
    "A": ((1, 2, 3), ""), "B": ((2, 3, 4), ""), "C": ((1, 2, 3), "A"), "D": ((2, 4, 6), "AB"),
    "E": ((1, 4, 7), "C"), "F": ((1, 2, 9), "C"), "G": ((3, 4, 11), "DE"), "H": ((1, 2, 3), "FG"),
}  # fmt: skip
MILWAUKEE_SLACK: Final = dict.fromkeys("ACEGH", 0.0) | {"B": 1, "D": 1, "F": 6}


def pert(low: float, mode: float, high: float) -> Duration:
    return Duration(kind="pert", low_days=low, mode_days=mode, high_days=high)


def normal(mean: float, sd: float) -> Duration:
    return Duration(kind="normal", mean_days=mean, sd_days=sd)


def exponential(mean: float) -> Duration:
    return Duration(kind="exponential", mean_days=mean)


def ends(tasks: Tasks, **more: Any) -> Any:
    return courses(project(tasks, **more), SAMPLES, np.random.default_rng(7)).end


def below(values: Any, most: float) -> float:
    return float((values <= most).mean())


def bell(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def test_the_textbook_construction_project_takes_44_weeks_with_the_printed_slacks() -> None:
    network = network_of(project(ended(RELIABLE)))
    days = [RELIABLE[name][0] if name in RELIABLE else 0.0 for name in network.names]
    found = critical_path(network, np.array(days, dtype=float))
    assert found.end == 44
    assert found.critical_path == (*"ABCEFJLN", "end")
    slack = dict(zip(network.names, found.slack, strict=True))
    assert {name: slack[name] for name in RELIABLE} == RELIABLE_SLACK


def test_the_textbook_pert_project_takes_15_weeks_with_variance_3_11() -> None:
    tasks: Tasks = {name: (pert(*three), after) for name, (three, after) in MILWAUKEE.items()}
    made = project(tasks)
    network = network_of(made)
    found = critical_path(network, [made.tasks[name].duration.mean for name in network.names])
    assert found.end == pytest.approx(15.0, abs=1e-12)
    assert found.critical_path == tuple("ACEGH")
    slack = dict(zip(network.names, np.round(found.slack, 9), strict=True))
    assert slack == MILWAUKEE_SLACK
    sixths = [((high - low) / 6) ** 2 for name in "ACEGH" for low, _, high in [MILWAUKEE[name][0]]]
    assert sum(sixths) == pytest.approx(3.11, abs=0.005)
    # The book reads its table of the normal distribution at z = 0.57.
    assert bell(round((16 - found.end) / sqrt(sum(sixths)), 2)) == pytest.approx(0.7157, abs=5e-5)


def test_the_single_path_of_pert_is_more_hopeful_than_the_whole_network() -> None:
    tasks: Tasks = {name: (pert(*three), after) for name, (three, after) in MILWAUKEE.items()}
    path: Tasks = {
        name: (tasks[name][0], before) for name, before in zip("ACEGH", ["", *"ACEG"], strict=True)
    }
    assert below(ends(tasks), 16.0) < below(ends(path), 16.0) - 2 * POINT


def generated(seed: int) -> tuple[Tasks, nx.DiGraph]:
    """Return a random network, sparse to dense, and the same as a graph with days on its edges."""
    rng = np.random.default_rng(seed)
    count, density = int(rng.integers(5, 60)), float(rng.uniform(0.03, 0.5))
    days, graph = rng.gamma(2.0, 20.0, count), nx.DiGraph()
    graph.add_nodes_from([*range(count), "end"])
    tasks: dict[str, tuple[float, list[str]]] = {}
    for node in rng.permutation(count):
        before = [name for name in tasks if rng.random() < density]
        tasks[str(node)] = (float(days[node]), before)
        graph.add_edge(int(node), "end", days=float(days[node]))
        for name in before:
            graph.add_edge(int(name), int(node), days=float(days[int(name)]))
    return ended(tasks), graph


def days_of(tasks: Tasks, network: Network) -> list[float]:
    return [float(str(tasks[name][0])) for name in network.names]


@pytest.mark.parametrize("seed", range(60))
def test_the_critical_path_is_the_longest_path_that_networkx_finds(seed: int) -> None:
    tasks, graph = generated(seed)
    network = network_of(project(tasks))
    found = critical_path(network, days_of(tasks, network))
    assert found.end == nx.dag_longest_path_length(graph, weight="days")
    path = nx.dag_longest_path(graph, weight="days")
    assert found.critical_path == tuple(map(str, path))


@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_slack_is_what_the_longest_path_through_a_task_leaves(seed: int) -> None:
    tasks, graph = generated(seed)
    network = network_of(project(tasks))
    found = critical_path(network, days_of(tasks, network))
    for node, name in enumerate(network.names[:-1]):
        before = graph.subgraph(nx.ancestors(graph, int(name)) | {int(name)})
        after = graph.subgraph(nx.descendants(graph, int(name)) | {int(name)})
        through = sum(nx.dag_longest_path_length(part, weight="days") for part in (before, after))
        assert found.slack[node] == pytest.approx(found.end - through, abs=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.99])
def test_a_series_of_normals_ends_as_their_sum(share: float) -> None:
    parts = [(30.0, 5.0), (60.0, 11.0), (20.0, 3.0), (90.0, 16.0)]
    tasks: Tasks = {
        str(i): (normal(*one), [str(i - 1)] if i else []) for i, one in enumerate(parts)
    }
    mean, sd = sum(m for m, _ in parts), sqrt(sum(s * s for _, s in parts))
    at = stats.norm.ppf(share, mean, sd)
    assert below(ends(tasks), at) == pytest.approx(share, abs=POINT)


@pytest.mark.parametrize("days", [20.0, 60.0, 120.0, 300.0])
def test_parallel_exponentials_end_as_their_maximum(days: float) -> None:
    means = [10.0, 25.0, 40.0, 60.0]
    tasks: Tasks = {str(i): (exponential(mean), []) for i, mean in enumerate(means)}
    exact = prod(1 - exp(-days / mean) for mean in means)
    assert below(ends(ended(tasks)), days) == pytest.approx(exact, abs=POINT)


def test_a_race_of_exponentials_ends_with_the_sum_of_their_rates() -> None:
    means = {"grid": 900.0, "turbines": 60.0, "batteries": 120.0}
    tasks: Tasks = {name: (exponential(mean), []) for name, mean in means.items()}
    made = project(tasks, done="power", alternatives={"power": Alternative(branches=tuple(means))})
    found = courses(made, SAMPLES, np.random.default_rng(3))
    rate = sum(1 / mean for mean in means.values())
    for days in (10.0, 40.0, 100.0):
        assert below(found.end, days) == pytest.approx(1 - exp(-days * rate), abs=POINT)
    for name, mean in means.items():
        assert found.taken["power"][name] == pytest.approx(1 / mean / rate, abs=POINT)
        node = found.network.names.index(name)
        assert found.criticality[node] == found.taken["power"][name]


def test_a_weighted_choice_is_a_mixture() -> None:
    tasks: Tasks = {"refit": (exponential(100.0), []), "new": (exponential(600.0), [])}
    shell = Alternative(branches=("refit", "new"), choose="weighted", weights=(0.3, 0.7))
    found = ends(tasks, done="hall", alternatives={"hall": shell})
    for days in (50.0, 200.0, 900.0):
        exact = 0.3 * (1 - exp(-days / 100)) + 0.7 * (1 - exp(-days / 600))
        assert below(found, days) == pytest.approx(exact, abs=POINT)


def test_a_risk_strikes_all_its_tasks_at_once() -> None:
    rain = Risk(probability=0.25, delay=exponential(30.0), tasks=("a", "b"))
    tasks: Tasks = {"a": (10.0, []), "b": (20.0, ["a"])}
    found = ends(tasks, risks={"rain": rain})
    assert below(found, 30.0) == pytest.approx(0.75, abs=POINT)
    assert below(found, 90.0) == pytest.approx(0.75 + 0.25 * (1 - exp(-1.0)), abs=POINT)


@pytest.mark.parametrize("mode", [0.0, 0.1, 0.35, 0.5, 0.9, 1.0])
def test_the_tabulated_pert_inverse_is_the_beta_distribution(mode: float) -> None:
    draws = sampled(pert(0.0, mode, 1.0), np.random.default_rng(11), SAMPLES)
    exact = stats.beta(1 + 4 * mode, 1 + 4 * (1 - mode))
    assert stats.kstest(draws, exact.cdf).statistic < 1.63 / sqrt(SAMPLES)  # 1 % level
    assert draws.mean() == pytest.approx(exact.mean(), abs=4 * exact.std() / sqrt(SAMPLES))


KINDS: Final = {
    "triangular": (
        Duration(kind="triangular", low_days=10.0, mode_days=20.0, high_days=60.0),
        stats.triang(0.2, 10.0, 50.0),
    ),
    "lognormal": (
        Duration(kind="lognormal", mean_days=100.0, sd_days=60.0),
        stats.lognorm(s=sqrt(np.log1p(0.36)), scale=100.0 / sqrt(1.36)),
    ),
    "exponential": (exponential(40.0), stats.expon(scale=40.0)),
    "normal": (normal(50.0, 10.0), stats.norm(50.0, 10.0)),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_distribution_is_the_one_of_its_name_and_knows_its_moments(kind: str) -> None:
    duration, exact = KINDS[kind]
    draws = sampled(duration, np.random.default_rng(5), SAMPLES)
    assert stats.kstest(draws, exact.cdf).statistic < 1.63 / sqrt(SAMPLES)
    assert duration.mean == pytest.approx(exact.mean())
    assert duration.sd == pytest.approx(exact.std())


def test_observed_durations_are_drawn_alike() -> None:
    duration = Duration(kind="empirical", observed_days=(109.0, 233.0, 393.0, 495.0))
    draws = sampled(duration, np.random.default_rng(5), SAMPLES)
    for days in duration.observed_days:
        assert float((draws == days).mean()) == pytest.approx(0.25, abs=POINT)
    assert duration.mean == 307.5
    assert draws.std() == pytest.approx(duration.sd, rel=0.01)
