"""What must hold for every run, whatever its size, failures and prices."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.cost.goodput import (
    goodput,
    mtbf_s,
    one_plus_lambert_w,
    optimal_interval_s,
    time_shares,
)
from gigafactory.cost.money import owned_usd_per_gpu_hour, rent_usd
from gigafactory.cost.power import machine_power, server_power
from gigafactory.cost.storage import checkpoint_cost
from gigafactory.spec.faults import FaultProfile
from gigafactory.spec.interval import Interval

SECONDS = st.floats(min_value=1e-2, max_value=1e7)
SIZES = st.integers(min_value=1, max_value=10**7)
PROFILE = FaultProfile(
    name="any",
    title="any",
    failures_per_1000_node_days=Interval(low=2.3, expected=3.79, high=4.29),
    large_scale_failures_per_1000_node_days=Interval(low=2.3, expected=3.79, high=6.4),
    detect_s=Interval(low=60.0, expected=150.0, high=600.0),
    restart_gpus=(16_384, 98_304),
    restart_s=(200.0, 900.0),
)


@given(gap_s=SECONDS, work_s=SECONDS, write_s=SECONDS, restart_s=SECONDS, detect_s=SECONDS)
def test_the_shares_of_wall_time_sum_to_one_and_none_is_negative(
    gap_s: float, work_s: float, write_s: float, restart_s: float, detect_s: float
) -> None:
    shares = time_shares(gap_s, work_s + write_s, write_s, restart_s, detect_s)
    parts = [float(shares.goodput), *shares.lost().values()]
    assert sum(parts) == pytest.approx(1.0, abs=1e-9)
    assert min(parts) >= 0
    assert 0 < parts[0] <= 1


@given(gap_s=SECONDS, write_s=SECONDS)
def test_the_best_interval_is_above_its_write_and_below_youngs(
    gap_s: float, write_s: float
) -> None:
    best_s = float(optimal_interval_s(gap_s, write_s))
    assert write_s < best_s <= write_s + gap_s
    assert best_s <= (write_s + (2 * gap_s * write_s) ** 0.5) * (1 + 1e-12)


@given(ratio=st.floats(min_value=1e-8, max_value=600.0))
def test_lambert_w_solves_its_equation(ratio: float) -> None:
    w = float(one_plus_lambert_w(ratio)) - 1.0
    if ratio < 30:  # beyond, 1 + w is 1 in floating point
        assert w * exp(w) == pytest.approx(-exp(-1.0 - ratio), rel=1e-6)


@given(size=SIZES, more=st.integers(min_value=1, max_value=10**6))
def test_more_gpus_fail_sooner_and_never_raise_goodput(size: int, more: int) -> None:
    assert mtbf_s(PROFILE, size + more).expected < mtbf_s(PROFILE, size).expected
    small = goodput(PROFILE, size, blocking_s=1.0).goodput
    large = goodput(PROFILE, size + more, blocking_s=1.0).goodput
    assert large.expected <= small.expected
    assert large.low <= large.expected <= large.high


@given(
    nameplate_w=st.floats(min_value=1.0, max_value=1e4),
    share=st.floats(min_value=0.3, max_value=1.0),
    num=st.integers(min_value=1, max_value=10**6),
    used=st.floats(min_value=0.0, max_value=1.0),
)
def test_facility_power_is_never_below_it_power(
    nameplate_w: float, share: float, num: int, used: float
) -> None:
    machine = machine_power(
        server_power(nameplate_w, share * nameplate_w),
        num_gpus=num,
        gpus_used=int(used * num),
        pue=Interval(low=1.05, expected=1.2, high=1.3),
    )
    assert machine.it_w < machine.facility_w.expected <= machine.facility_w.high
    assert 0 <= machine.swing_w < machine.it_w


@given(
    parameters=st.floats(min_value=1e6, max_value=1e13),
    writers=SIZES,
    bandwidth=st.floats(min_value=1e8, max_value=1e13),
)
def test_a_save_beside_training_never_stalls_longer(
    parameters: float, writers: int, bandwidth: float
) -> None:
    beside = checkpoint_cost(parameters, num_writers=writers, storage_bytes_per_s=bandwidth)
    stalled = checkpoint_cost(
        parameters, num_writers=writers, storage_bytes_per_s=bandwidth, asynchronous=False
    )
    assert beside.blocking_s < stalled.blocking_s
    assert beside.least_interval_s <= stalled.least_interval_s
    assert beside.shard_bytes * writers == pytest.approx(beside.total_bytes)


@given(hours=st.floats(min_value=1e-3, max_value=1e6), num=SIZES)
def test_rent_grows_with_gpus_and_with_time(hours: float, num: int) -> None:
    usd = rent_usd(num, hours * 3_600, 2.0)
    assert usd == pytest.approx(rent_usd(1, 3_600.0, 2.0) * num * hours)


@given(years=st.floats(min_value=1.0, max_value=10.0))
def test_a_longer_life_makes_the_owned_hour_cheaper_down_to_its_energy(years: float) -> None:
    price = owned_usd_per_gpu_hour(50_000.0, 1_500.0, years=years, usd_per_mwh=78.0)
    longer = owned_usd_per_gpu_hour(50_000.0, 1_500.0, years=years + 1, usd_per_mwh=78.0)
    assert longer < price
    assert longer > 1.5 * 0.078
