"""The grid behind a battery and a ramp: physics in closed form, and energy that adds up."""

import numpy as np
import pytest

from gigafactory.errors import SpecError
from gigafactory.simulate.power import Grid, Smoothing, around, sampled

MW = 1e6


def test_without_a_ramp_the_grid_is_the_load() -> None:
    grid = Grid(100 * MW, Smoothing())
    grid.hold(0.0, 10.0, 100 * MW)
    grid.hold(10.0, 20.0, 30 * MW)
    trace = grid.trace()
    assert np.array_equal(trace.load_w, trace.grid_w)
    load, _ = sampled(trace, np.array([5.0, 15.0]))
    assert load.tolist() == [100 * MW, 30 * MW]


def test_a_large_battery_holds_every_ramp_and_gives_half_the_step_squared_over_the_ramp() -> None:
    grid = Grid(150 * MW, Smoothing(ramp_w_per_s=MW, battery_w=200 * MW, battery_j=1e12))
    grid.hold(0.0, 1000.0, 80 * MW)
    trace = grid.trace()
    assert len(trace.steps_w) == 0
    assert trace.largest_battery_w == pytest.approx(70 * MW)
    at = np.linspace(0.0, 1000.0, 100_001)
    load, drawn = sampled(trace, at)
    assert np.abs(np.diff(drawn)).max() <= MW * 0.01 * 1.001
    taken = float(((drawn - load)[1:] * 0.01).sum())
    assert taken == pytest.approx((70 * MW) ** 2 / (2 * MW), rel=1e-3)


def test_a_battery_of_too_little_power_lets_the_rest_through_at_once() -> None:
    grid = Grid(150 * MW, Smoothing(ramp_w_per_s=MW, battery_w=50 * MW, battery_j=1e12))
    grid.hold(0.0, 1000.0, 80 * MW)
    assert grid.trace().steps_w.tolist() == pytest.approx([20 * MW])


def test_a_battery_that_runs_out_lets_the_rest_through_at_that_moment() -> None:
    room = (30 * MW) ** 2 / (2 * MW)  # for a step of 30 MW; the battery is half full
    grid = Grid(150 * MW, Smoothing(ramp_w_per_s=MW, battery_w=500 * MW, battery_j=2 * room))
    grid.hold(0.0, 1000.0, 80 * MW)
    assert grid.trace().steps_w.tolist() == pytest.approx([(70**2 - 30**2) ** 0.5 * MW])


def test_without_a_battery_a_ramp_cannot_be_held() -> None:
    grid = Grid(150 * MW, Smoothing(ramp_w_per_s=MW))
    grid.hold(0.0, 1000.0, 80 * MW)
    assert grid.trace().steps_w.tolist() == pytest.approx([70 * MW])


def test_short_pauses_do_not_fill_the_battery_for_good() -> None:
    smoothing = Smoothing(ramp_w_per_s=0.1 * MW, battery_w=20 * MW, battery_j=100 * MW)
    grid, clock = Grid(24 * MW, smoothing), 0.0
    for _ in range(2000):
        grid.hold(clock, clock + 100.0, 24 * MW)
        grid.hold(clock + 100.0, clock + 100.5, 8 * MW)
        clock += 100.5
    assert len(grid.trace().steps_w) == 0


def test_samples_are_each_second_around_events_and_each_hour_between() -> None:
    at = around(np.array([10_000.0]), 100_000.0)
    assert {9_990.0, 10_000.0, 10_299.0, 3600.0, 100_000.0} <= set(at.tolist())
    assert len(at) < 400


@pytest.mark.parametrize(("field", "value"), [
    ("ramp_w_per_s", 0.0), ("ramp_w_per_s", -1.0), ("battery_w", -1.0), ("filler_share", 1.5),
])  # fmt: skip
def test_smoothing_that_makes_no_sense_is_refused(field: str, value: float) -> None:
    with pytest.raises(SpecError) as error:
        Smoothing(**{field: value})
    assert error.value.field == field
