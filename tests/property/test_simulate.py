"""Whatever is asked: every second is somewhere, nothing hangs, more trouble is never better."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gigafactory.catalog import loader
from gigafactory.errors import CatalogError
from gigafactory.simulate.montecarlo import courses
from gigafactory.simulate.power import Grid, Smoothing
from gigafactory.simulate.spares import Depot
from gigafactory.simulate.story import story
from gigafactory.simulate.trace import CLASSES, read_trace
from gigafactory.spec.faults import BringUp, SlowSpells
from tests.made_scenario import growing, made_scenario

if TYPE_CHECKING:
    from gigafactory.simulate.growth import Scenario

FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

scenarios = st.fixed_dictionaries({
    "num_gpus": st.sampled_from([8, 1_024, 16_384, 98_304]),
    "days": st.floats(0.01, 1.5),
    "kind": st.sampled_from(["restart", "warm", "elastic"]),
    "blocking_s": st.floats(0.01, 60.0),
    "longer": st.floats(1.01, 200.0),
    "write": st.floats(0.0, 1.0),
    "memory_every": st.integers(1, 9),
    "memory_blocking_s": st.floats(0.0, 1.0),
    "spares": st.sampled_from([0, 1, 30, 10_000]),
    "evict_after": st.sampled_from([0, 1, 3]),
    "work_s": st.sampled_from([1.0, 3e4, 1e12]),
    "planned_every_s": st.sampled_from([np.inf, 7200.0, 86_400.0]),
    "grows": st.booleans(),
    "young": st.booleans(),
    "slow": st.booleans(),
})  # fmt: skip


def built(found: dict[str, Any]) -> Scenario:
    values = dict(found)
    profile = replace(loader.faults("ft-hsdp"), sdc_latency_s=1800.0)
    if values.pop("young"):
        profile = replace(profile, bring_up=BringUp(days=0.5, factor=4.0))
    if values.pop("slow"):
        spell = SlowSpells(per_1000_node_days=3.0, slowdown=1.5, duration_s=600.0)
        profile = replace(profile, slow=spell)
    grows, every = values.pop("grows"), values.pop("planned_every_s")
    period = values["blocking_s"] * values.pop("longer")
    if values["memory_every"] > 1:
        period = max(period, 2.0 * values["memory_blocking_s"])
    made = made_scenario(
        profile, period_s=period, write_s=values.pop("write") * period * 0.9, **values
    )
    made = replace(made, planned_every_s=every)
    return growing(made, 0.5, 0.5) if grows else made


@FEW
@given(found=scenarios, seed=st.integers(0, 2**32))
def test_every_second_of_every_seed_is_somewhere(found: dict[str, Any], seed: int) -> None:
    scenario = built(found)
    course = courses(scenario, 5, np.random.default_rng(seed))
    total = course.productive_s + sum(course.lost_s.values())
    assert np.allclose(total, course.wall_s, rtol=1e-9, atol=1e-3)
    assert (course.wall_s <= scenario.horizon_s * (1 + 1e-9)).all()
    assert (course.productive_s >= -1e-6).all()
    for lost in course.lost_s.values():
        assert (lost >= -1e-6).all()
    assert (course.finish_s > 0).all()
    assert np.isfinite(course.finish_s).all()
    assert (course.busy_gpu_s <= course.gpu_s * (1 + 1e-9) + 1e-3).all()


@settings(FEW, max_examples=15)
@given(found=scenarios, seed=st.integers(0, 2**32))
def test_every_second_of_a_story_is_somewhere(found: dict[str, Any], seed: int) -> None:
    scenario = built({**found, "days": min(found["days"], 0.5)})
    told = story(scenario, np.random.default_rng(seed), dt.date(2026, 1, 1))
    assert np.isclose(
        told.productive_s + sum(told.lost_s.values()), told.wall_s, rtol=1e-9, atol=1e-3
    )
    assert told.wall_s <= scenario.horizon_s * (1 + 1e-9)


@FEW
@given(found=scenarios, seed=st.integers(0, 2**32))
def test_the_same_seed_is_the_same_course(found: dict[str, Any], seed: int) -> None:
    scenario = built({**found, "days": 0.3})
    first, second = (courses(scenario, 3, np.random.default_rng(seed)) for _ in range(2))
    assert first.productive_s.tobytes() == second.productive_s.tobytes()
    assert first.counts.tobytes() == second.counts.tobytes()


@FEW
@given(st.lists(
    st.tuples(st.floats(1.0, 1e5), st.floats(0.0, 1e6), st.integers(1, 8)), min_size=1, max_size=60
), st.integers(0, 10))  # fmt: skip
def test_a_depot_never_holds_the_job_longer_than_its_longest_repair(
    taken: list[tuple[float, float, int]], spares: int
) -> None:
    depot, clock, row = Depot(1, spares, 600.0, 1e6), 0.0, np.array([0])
    for gap, repair, number in taken:
        clock += gap
        wait = depot.take(row, np.array([clock]), np.array([repair]), np.array([number]))
        assert 0 <= wait[0] <= 1e6 + 3 * max(600.0, 1e6 / 1000)
        clock += float(wait[0])


@FEW
@given(
    st.lists(st.tuples(st.floats(0.1, 5e3), st.floats(0.0, 2e8)), min_size=1, max_size=40),
    st.floats(1e3, 1e7), st.floats(0.0, 2e8), st.floats(0.0, 1e12),
)  # fmt: skip
def test_the_battery_gives_no_more_than_it_holds(
    loads: list[tuple[float, float]], ramp: float, battery_w: float, battery_j: float
) -> None:
    grid = Grid(loads[0][1], Smoothing(
        ramp_w_per_s=ramp, battery_w=battery_w, battery_j=battery_j
    ))  # fmt: skip
    clock = 0.0
    for seconds, watts in loads:
        grid.hold(clock, clock + seconds, watts)
        clock += seconds
        slack = 1e-6 * battery_j + 1.0
        assert -slack <= grid.stored_j <= battery_j + slack
    trace = grid.trace()
    assert trace.largest_battery_w <= battery_w * (1 + 1e-9)
    assert np.abs(trace.load_w - trace.grid_w).max() <= battery_w * (1 + 1e-6) + 1.0


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=5),
    st.just({"Level": "Hardware Failure", "Class": "GPU"}),
    st.builds(lambda a, b: {"Level": a, "Class": b}, st.sampled_from([*CLASSES, "x"]),
              st.sampled_from(["GPU", "Fan", "x"])),
)  # fmt: skip
events = st.lists(st.fixed_dictionaries({
    "node_id": st.one_of(st.sampled_from("abc"), values),
    "event_time": st.one_of(st.floats(0, 9), values),
    "event_type": st.one_of(st.sampled_from(["fault_start", "fault_end"]), values),
    "fault_type": values,
}), max_size=40)  # fmt: skip


@FEW
@given(events)
def test_no_trace_whatever_crashes_or_hangs(tmp_path_factory, found) -> None:  # type: ignore[no-untyped-def]
    import json

    path = tmp_path_factory.mktemp("trace") / "trace.json"
    path.write_text(json.dumps(found))
    trace, told = None, ""
    try:
        trace = read_trace(path)
    except CatalogError as error:
        told = str(error)
    assert "\n" not in told
    assert trace is None or (trace.end >= trace.start).all()
