"""Collectives at their limits: one rank, one domain, only network cards, crowded tiers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.catalog import machines
from gigafactory.cost.collectives import (
    all_to_all_time_s,
    crossing_slowdown,
    exchange_slowdown,
    hierarchical_time_s,
    local_ranks,
    point_to_point_time_s,
)
from gigafactory.cost.kernels import collective_time_s
from gigafactory.plan.machine import rates_of
from gigafactory.spec.hardware import Tier

if TYPE_CHECKING:
    from gigafactory.cost.rates import Rates

SIZE = 1e9
KINDS = ("all_gather", "reduce_scatter", "all_reduce")


def rates_for(*tiers: Tier) -> Rates:
    cluster = machines.cluster_of_row("h100-sxm", 8, 3200.0)
    rates = rates_of(machines.machine(cluster, "megatron-core"), "bf16", 128)
    return replace(rates, nic_bytes_per_s=40e9, tiers=tiers or rates.tiers)


def tier(num_gpus: int, oversubscription: float = 1.0) -> Tier:
    return Tier(
        name=str(num_gpus),
        num_gpus=num_gpus,
        oversubscription=oversubscription,
        hop_latency_s=5e-6,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_one_rank_has_nothing_to_send(kind: str) -> None:
    assert float(hierarchical_time_s(kind, SIZE, 1.0, 1.0, rates_for())) == 0
    assert float(hierarchical_time_s(kind, SIZE, 1.0, 64.0, rates_for())) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_inside_one_domain_it_is_the_measured_collective(kind: str) -> None:
    rates = rates_for()
    expected = float(collective_time_s(kind, SIZE, 8.0, rates.collectives))
    assert float(hierarchical_time_s(kind, SIZE, 8.0, 1.0, rates)) == pytest.approx(expected)


def test_ranks_in_nodes_of_their_own_use_only_their_network_cards() -> None:
    rates = replace(rates_for(), nic_latency_s=0.0)
    alone = float(hierarchical_time_s("all_gather", SIZE, 16.0, 8.0, rates))
    assert alone == pytest.approx(SIZE * 15 / 16 / 40e9)
    assert float(hierarchical_time_s("all_reduce", SIZE, 16.0, 8.0, rates)) == pytest.approx(
        2 * alone
    )


def test_ranks_of_one_node_share_what_crosses_the_network() -> None:
    rates = replace(rates_for(), nic_latency_s=0.0)
    both = float(hierarchical_time_s("all_gather", SIZE, 64.0, 1.0, rates))
    inside = float(collective_time_s("all_gather", SIZE, 8.0, rates.collectives))
    assert both - inside == pytest.approx(SIZE / 8 * 7 / 8 / 40e9)


def test_latency_grows_with_the_logarithm_of_the_domains() -> None:
    rates = replace(rates_for(), nic_latency_s=1e-3)
    times = [float(hierarchical_time_s("all_gather", 0.0, n, 8.0, rates)) for n in (2.0, 4.0, 16.0)]
    assert times == pytest.approx([1e-3, 2e-3, 4e-3])


def test_a_rack_scale_domain_keeps_a_group_off_the_network() -> None:
    rack = replace(rates_for(), scale_up_domain=72, nic_bytes_per_s=1.0)
    assert float(hierarchical_time_s("all_reduce", SIZE, 64.0, 1.0, rack)) < 1.0


def test_local_ranks_are_whole_and_at_least_the_rank_itself() -> None:
    assert [float(local_ranks(64.0, stride, 8)) for stride in (1, 2, 3, 8, 100)] == [8, 4, 2, 1, 1]
    assert float(local_ranks(4.0, 1.0, 8)) == 4


def test_a_group_inside_a_pod_does_not_feel_the_tier_above() -> None:
    crowded = rates_for(tier(256), tier(10**6, 7.0))
    assert float(crossing_slowdown(32.0, 8.0, crowded)) == 1
    assert float(exchange_slowdown(256.0, crowded)) == 1


def test_a_ring_that_leaves_its_pod_with_one_rank_in_each_pays_the_whole_oversubscription() -> None:
    crowded = rates_for(tier(256), tier(10**6, 7.0))
    assert float(crossing_slowdown(4.0, 256.0, crowded)) == 7


def test_a_ring_with_many_ranks_in_a_pod_crosses_with_few_and_pays_nothing() -> None:
    crowded = rates_for(tier(256), tier(10**6, 7.0))
    assert float(crossing_slowdown(128.0, 8.0, crowded)) == 1


def test_an_exchange_over_many_pods_pays_the_oversubscription_almost_whole() -> None:
    crowded = rates_for(tier(256), tier(10**6, 7.0))
    assert float(exchange_slowdown(2560.0, crowded)) == pytest.approx(7 * 0.9)


def test_oversubscription_never_speeds_up() -> None:
    spans = np.geomspace(1, 1e6, 50)
    fast, slow = rates_for(tier(256), tier(10**6)), rates_for(tier(256), tier(10**6, 3.0))
    assert np.all(exchange_slowdown(spans, slow) >= exchange_slowdown(spans, fast))
    assert np.all(crossing_slowdown(spans, 8.0, slow) >= crossing_slowdown(spans, 8.0, fast))
    assert np.all(exchange_slowdown(spans, fast) >= 1)


def test_an_exchange_with_oneself_takes_no_time() -> None:
    assert float(all_to_all_time_s(SIZE, 1.0, 1.0, rates_for())) == 0


def test_an_exchange_inside_a_domain_is_the_measured_one() -> None:
    rates = rates_for()
    expected = float(collective_time_s("all_to_all", SIZE, 8.0, rates.collectives))
    assert float(all_to_all_time_s(SIZE, 8.0, 1.0, rates)) == pytest.approx(expected)


def test_an_exchange_between_nodes_sends_what_is_not_for_its_own_node() -> None:
    rates = replace(rates_for(), nic_latency_s=0.0, exchange_share=0.5)
    assert float(all_to_all_time_s(SIZE, 64.0, 1.0, rates)) == pytest.approx(
        SIZE * 56 / 64 / (40e9 * 0.5)
    )


def test_a_neighbour_in_the_domain_is_reached_by_its_link() -> None:
    rates = rates_for()
    near = float(point_to_point_time_s(SIZE, 1.0, rates))
    assert near == pytest.approx(SIZE / rates.link_bytes_per_s)
    assert float(point_to_point_time_s(SIZE, 8.0, rates)) == pytest.approx(
        SIZE / 40e9 + rates.nic_latency_s
    )


def test_a_stage_in_another_pod_is_reached_through_the_crowded_tier() -> None:
    crowded = replace(rates_for(tier(256), tier(10**6, 7.0)), nic_latency_s=0.0)
    near, far = (float(point_to_point_time_s(SIZE, stride, crowded)) for stride in (255.0, 256.0))
    assert far / near == pytest.approx(7)


def islands() -> Rates:
    return replace(rates_for(), scale_up_domain=4, bridge_bytes_per_s=10e9, nic_latency_s=0.0)


def test_islands_of_one_server_talk_over_its_bridge() -> None:
    rates = islands()
    crossing = hierarchical_time_s("all_gather", SIZE, 8.0, 1.0, rates)
    inside = collective_time_s("all_gather", SIZE, 4.0, rates.collectives)
    assert crossing - inside == pytest.approx(0.5 * SIZE / 4 / 10e9)


def test_islands_of_several_servers_use_bridge_and_cards() -> None:
    rates = islands()
    more = hierarchical_time_s("all_gather", SIZE, 16.0, 1.0, rates)
    less = hierarchical_time_s("all_gather", SIZE, 8.0, 1.0, rates)
    assert more - less == pytest.approx(0.5 * SIZE / 8 / 40e9)


def test_a_neighbour_on_another_island_is_reached_over_the_bridge() -> None:
    assert point_to_point_time_s(SIZE, 4.0, islands()) == pytest.approx(SIZE / 10e9)


def test_one_copy_per_domain_sends_less_than_one_per_expert() -> None:
    rates = rates_for()
    every = float(all_to_all_time_s(SIZE, 32.0, 1.0, rates))
    once = float(all_to_all_time_s(SIZE, 32.0, 1.0, rates, 8.0))
    reached = 4 * (1 - 0.75**8)
    latency = rates.nic_latency_s * 2
    assert (once - latency) / (every - latency) == pytest.approx(reached / 8)
