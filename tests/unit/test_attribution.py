"""Operator x pass x resource: every second charged once, bytes and FLOPs as counted by hand."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost.attribution import Charge, charges
from gigafactory.cost.layer import price_layer
from gigafactory.cost.resources import RESOURCES, alone, metered, slowed
from gigafactory.cost.step import exposed_parts, step_parts
from gigafactory.plan.attribution import OperatorTime, operator_times, resource_times
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import predict
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.model import Model

LLAMA = loader.model("llama-3.1-8b")
MIXTRAL = loader.model("mixtral-8x7b")
GPU = machines.cluster_of_row("h100-sxm", 8, 3200.0)
MEGATRON = machines.machine(GPU, "megatron-core")
FSDP = machines.machine(GPU, "pytorch-fsdp1")
UNFUSED = machines.machine(machines.cluster_of_row("a100-80gb", 8, 1600.0), "megatron-2021")


def case(model: Model = LLAMA, **degrees: Any) -> Case:
    values: dict[str, Any] = {"data_parallel": 16, "global_batch_size": 128, "seq_len": 4096}
    return Case(model, Layout(**values | degrees))


def rows(
    model: Model = LLAMA, machine: Machine = MEGATRON, **degrees: Any
) -> tuple[OperatorTime, ...]:
    return operator_times(case(model, **degrees), machine)


def of(found: tuple[OperatorTime, ...], **wanted: str) -> list[OperatorTime]:
    return [row for row in found if all(getattr(row, k) == v for k, v in wanted.items())]


def only(found: tuple[OperatorTime, ...], **wanted: str) -> OperatorTime:
    (row,) = of(found, **wanted)
    return row


def charged(rates: Rates, **degrees: Any) -> list[Charge]:
    return charges(*columns([case(**degrees)]), rates)


def exposed(found: list[Charge], **wanted: str) -> float:
    chosen = [c for c in found if all(getattr(c, k) == v for k, v in wanted.items())]
    return float(sum(np.ravel(c.exposed)[0] for c in chosen))


LAYOUTS: list[dict[str, Any]] = [
    {},
    {"tensor_parallel": 4, "sequence_parallel": True, "recompute": "selective"},
    {"pipeline_parallel": 4, "virtual_pipeline": 4, "tensor_parallel": 8},
    {"pipeline_parallel": 5, "recompute": "full"},
    {"context_parallel": 4, "sharding": "zero3", "recompute": "full"},
    {"sharding": "hsdp", "data_shard": 8},
    {"sharding": "none", "micro_batch_size": 4},
]


@pytest.mark.parametrize("degrees", LAYOUTS, ids=str)
@pytest.mark.parametrize("machine", [MEGATRON, FSDP, UNFUSED], ids=lambda m: m.software.name)
@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b", "deepseek-v3"])
def test_the_operators_of_each_part_sum_to_that_part(
    degrees: dict[str, Any], machine: Machine, name: str
) -> None:
    asked = case(loader.model(name), **degrees)
    promised, found = predict(asked, machine), operator_times(asked, machine)
    step_s = promised.step_time_s.expected
    assert sum(row.exposed_s for row in found) == pytest.approx(step_s, rel=1e-9)
    for part, seconds in asdict(promised.breakdown_s).items():
        told = sum(row.exposed_s for row in of(found, part=part))
        assert told == pytest.approx(seconds, rel=1e-9, abs=1e-9 * step_s), part


@pytest.mark.parametrize("model", [LLAMA, MIXTRAL], ids=lambda m: m.name)
def test_the_products_of_all_gpus_are_the_models_flops(model: Model) -> None:
    degrees: dict[str, Any] = {"tensor_parallel": 4, "pipeline_parallel": 2}
    counted = [
        row for row in rows(model, **degrees)
        if row.resource == "matmul" and row.operator != "attention core"
    ]  # fmt: skip
    layout = case(model, **degrees).layout
    # Read rows of the embedding, norms and the router are no products that are priced.
    experts = model.experts.num_experts if model.experts else 0
    read = model.vocab_size + (2 * model.num_layers + 1) + model.num_layers * experts
    active = model.num_active_parameters - read * model.hidden_size
    expected = 6.0 * active * layout.tokens_per_step / layout.num_gpus
    assert sum(row.amount for row in counted) == pytest.approx(expected, rel=1e-3)


def test_attention_counts_the_causal_half_and_flash_its_scores_again() -> None:
    flash, unfused = rows(), rows(machine=UNFUSED)
    tokens_s = 4096.0 * 8 * 4096 * LLAMA.num_heads * LLAMA.head_dim  # batch of 8 on a GPU
    for found, ratio in ((flash, 2.5), (unfused, 2.0)):
        forward = only(found, operator="attention core", phase="forward", resource="matmul")
        backward = only(found, operator="attention core", phase="backward", resource="matmul")
        assert forward.amount == pytest.approx(2.0 * tokens_s * LLAMA.num_layers)
        assert backward.amount == pytest.approx(ratio * forward.amount)


def test_bytes_over_the_link_are_those_of_the_ring() -> None:
    found = rows(tensor_parallel=8, sequence_parallel=True)
    row = only(found, operator="tensor exchange", phase="forward", resource="link")
    buffer = 4096 * LLAMA.hidden_size * 2.0  # gathered and scattered, twice a layer
    assert row.amount == pytest.approx(LLAMA.num_layers * 8 * 4 * buffer * 7 / 8, rel=1e-6)
    assert row.calls == LLAMA.num_layers * 8 * 4
    assert 0.3 < row.of_peak < 1.0


def test_bytes_over_the_network_do_not_grow_with_latency_or_oversubscription() -> None:
    calm = rates_of(MEGATRON, "bf16", 128)
    slow = replace(
        calm,
        nic_latency_s=1.0,
        nic_bytes_per_s=calm.nic_bytes_per_s / 9,
        tiers=(
            replace(calm.tiers[0], num_gpus=16),
            replace(calm.tiers[0], num_gpus=10**6, oversubscription=40.0),
        ),
    )
    degrees = {"tensor_parallel": 8, "data_parallel": 16}
    moved = [
        float(sum(np.ravel(c.amount)[0] for c in charged(rates, **degrees)
                  if c.operator == "gradient reduction" and c.resource == "network"))
        for rates in (calm, slow)
    ]  # fmt: skip
    held = LLAMA.num_parameters / 8 * calm.features.gradient_bytes
    assert moved[0] == pytest.approx(held * 15 / 16, rel=1e-3)
    assert moved[1] == pytest.approx(moved[0], rel=1e-9)


def test_exposed_and_hidden_of_a_transfer_are_the_whole_of_it() -> None:
    rates = rates_of(MEGATRON, "bf16", 128)
    found = charged(rates, tensor_parallel=8)
    link = [c for c in found if c.operator == "tensor exchange" and c.resource == "link"]
    for charge in link[:2]:
        assert float(charge.exposed[0] + charge.hidden[0]) == pytest.approx(  # type: ignore[index]
            float(charge.whole[0])  # type: ignore[index]
        )
        assert float(charge.hidden[0]) > 0  # type: ignore[index]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_slower_resource_lengthens_kernels_by_its_share(resource: str) -> None:
    rates = rates_of(MEGATRON, "fp8", 128)
    slower = slowed(rates, {resource: 1.001})
    degrees: dict[str, Any] = {"tensor_parallel": 2, "precision": "fp8"}
    shape, grid = columns([case(MIXTRAL, **degrees)])
    step, more = (
        sum(exposed(charges(shape, grid, r), part=part)
            for part in ("compute", "memory_bound", "tensor_comm", "expert_comm", "optimizer"))
        for r in (rates, slower)
    )  # fmt: skip
    found = charges(shape, grid, rates)
    told = sum(
        exposed(found, part=part, resource=resource)
        for part in ("compute", "memory_bound", "tensor_comm", "expert_comm", "optimizer")
    )
    assert more - step == pytest.approx(0.001 * told, rel=0.02, abs=1e-9 * step)


def test_contention_is_told_apart_and_goes_with_its_cause() -> None:
    rates = rates_of(FSDP, "bf16", 128)
    calm = replace(rates, sharded_contention=0.0, contention=0.0)
    slow, free = (charged(r, sharding="zero3") for r in (rates, calm))
    assert exposed(slow, operator="weight contention") > 0
    assert exposed(free, operator="weight contention") == 0
    assert exposed(slow, operator="weight gathering") == pytest.approx(
        exposed(free, operator="weight gathering")
    )


def test_launches_that_the_gpu_outlasts_are_hidden_and_slow_ones_are_not() -> None:
    rates = rates_of(MEGATRON, "bf16", 128)
    quick, slow = (charged(replace(rates, host_layer_s=s)) for s in (1e-6, 1.0))
    for found, share in ((quick, 0.0), (slow, 1.0)):
        host = [c for c in found if c.resource == "host" and c.phase == "forward"]
        whole = float(np.ravel(host[0].whole)[0])
        assert exposed(host) / whole == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("software", ["megatron-core", "pytorch-fsdp1"])
def test_one_stage_waits_for_no_other_even_where_it_adds_gradients_up(software: str) -> None:
    rates = rates_of(machines.machine(GPU, software), "bf16", 128)
    found = charged(replace(rates, accumulation_bytes=6.0), sharding="none")
    step = sum(exposed([charge]) for charge in found)
    assert exposed(found, operator="gradient accumulation") > 0.0
    assert exposed(found, part="pipeline_bubble") < 1e-12 * step


def test_uneven_stages_and_the_fill_are_told_apart() -> None:
    even = replace(LLAMA, num_layers=32, vocab_size=1)
    uneven = replace(even, num_layers=33)
    many: dict[str, Any] = {"pipeline_parallel": 4, "global_batch_size": 16 * 256}
    first, second = rows(even, **many), rows(uneven, **many)

    def share(found: tuple[OperatorTime, ...]) -> float:
        told = [row.exposed_s for row in of(found, operator="uneven stages")]
        return sum(told) / sum(row.exposed_s for row in found)

    assert share(first) < 0.001
    assert share(second) == pytest.approx(0.08, abs=0.02)  # 9 layers where 8.25 are the mean
    more = rows(even, pipeline_parallel=4, virtual_pipeline=4, global_batch_size=16 * 256)
    fills = [only(found, operator="fill and drain").exposed_s for found in (first, more)]
    assert fills[1] == pytest.approx(fills[0] / 4, rel=0.05)


def test_recomputation_repeats_the_forward_pass_of_what_is_selected() -> None:
    full = rows(recompute="full")
    for operator in ("qkv projection", "mlp down", "attention core"):
        forward, again = (
            only(full, operator=operator, phase=phase, resource="matmul")
            for phase in ("forward", "recomputation")
        )
        assert again.exposed_s == pytest.approx(forward.exposed_s)
        assert again.amount == pytest.approx(forward.amount)
    assert not of(rows(recompute="none"), phase="recomputation")
    assert {row.operator for row in of(rows(recompute="selective"), phase="recomputation")} == {
        "attention core"
    }


def test_the_resources_sum_to_the_step_and_no_link_is_busier_than_it() -> None:
    asked = case(tensor_parallel=8, sequence_parallel=True, pipeline_parallel=2)
    step_s = predict(asked, MEGATRON).step_time_s.expected
    times = resource_times(operator_times(asked, MEGATRON))
    assert sum(one.exposed_s for one in times) == pytest.approx(step_s)
    assert all(one.busy_s < step_s for one in times)


def test_a_machine_with_all_but_one_resource_free_takes_that_ones_time() -> None:
    rates = rates_of(MEGATRON, "bf16", 128)
    shape, _ = columns([case(tensor_parallel=8)])
    link = alone(rates, "link")
    busy = price_layer(shape, replace(link, host_layer_s=0.0))[1].forward.sum()
    both = price_layer(shape, rates)[1].forward[2]
    assert float(busy) == pytest.approx(float(both[0]))


def test_metering_does_not_depend_on_the_speed_of_what_is_metered() -> None:
    rates = rates_of(MEGATRON, "bf16", 128)
    for name in RESOURCES[1:]:
        fast, slow = metered(rates, name), metered(slowed(rates, {name: 7.0}), name)
        shape, grid = columns([case(tensor_parallel=8, pipeline_parallel=2)])
        totals = [
            float(np.ravel(step_parts(price_layer(shape, r)[0], grid, r).optimizer)[0])
            for r in (fast, slow)
        ]
        assert totals[0] == pytest.approx(totals[1])


def test_the_breakdown_of_one_stage_counts_the_ends_gradients_as_memory_traffic() -> None:
    rates = replace(rates_of(MEGATRON, "bf16", 128), accumulation_bytes=6.0)
    shape, grid = columns([case(sharding="none")])
    price, layer = price_layer(shape, rates)
    parts = exposed_parts(price, layer, grid, step_parts(price, grid, rates))
    held = LLAMA.num_layers * float(price.held.dense[0]) + 2 * float(price.held.end[0])  # type: ignore[index]
    added = exposed(charges(shape, grid, rates), operator="gradient accumulation")
    assert added == pytest.approx(8 * held * 6.0 / rates.memory_bytes_per_s)
    assert float(np.ravel(parts["pipeline_bubble"])[0]) == pytest.approx(0.0, abs=1e-9)
