"""What is fitted of a machine: laws that made the times are found again, nonsense is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="fits need scipy")

from gigafactory.catalog import files, loader, machines
from gigafactory.compare.machine import cluster_of
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict, predict_all
from gigafactory.run.measure.samples import Measurements, Sample
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model
from gigafactory.spec.plan import CheckpointPolicy, Plan
from tests import made_machine

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.cluster import Cluster

MODEL = Model(
    name="small", num_layers=6, hidden_size=192, ffn_hidden_size=512, num_heads=6, num_kv_heads=3,
    head_dim=32, vocab_size=2048, context_length=256,
)  # fmt: skip
LAYOUTS = [
    {"data_parallel": 1}, {"data_parallel": 2}, {"data_parallel": 1, "tensor_parallel": 2},
    {"data_parallel": 1, "pipeline_parallel": 2}, {"data_parallel": 2, "sharding": "zero3"},
]  # fmt: skip


def layout(more: dict[str, object]) -> Layout:
    given = {"sharding": "none", "precision": "fp32", "seq_len": 256, "micro_batch_size": 2,
             "global_batch_size": 8}  # fmt: skip
    return Layout(**given | more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def told() -> Measurements:
    return made_machine.made()


@pytest.fixture(scope="module")
def cluster(told: Measurements) -> Cluster:
    return cluster_of(told)


@pytest.mark.parametrize("more", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", ["small", "grok-tiny"])
def test_a_machine_that_obeys_the_laws_is_predicted_as_by_the_laws(
    more: dict[str, object], name: str, told: Measurements, cluster: Cluster
) -> None:
    model = MODEL if name == "small" else loader.model(name)
    case = Case(model, layout(more))
    found = predict(case, machines.machine(cluster, "gigafactory")).step_time_s.expected
    truth = predict(case, made_machine.truth(told)).step_time_s.expected
    assert found == pytest.approx(truth, rel=0.03)


def test_noise_of_a_tenth_moves_a_prediction_by_less_than_a_tenth(told: Measurements) -> None:
    case = Case(MODEL, layout({"data_parallel": 2}))
    truth = predict(case, made_machine.truth(told)).step_time_s.expected
    noisy = cluster_of(made_machine.made(noise=0.1, seed=3))
    promised = predict(case, machines.machine(noisy, "gigafactory")).step_time_s
    assert promised.expected == pytest.approx(truth, rel=0.1)
    assert promised.low < promised.expected < promised.high


def test_a_machine_half_of_whose_time_others_take_is_half_as_fast(cluster: Cluster) -> None:
    case = Case(MODEL, layout({"data_parallel": 1}))
    busy = cluster_of(made_machine.made(free_share=0.5))
    slow = predict(case, machines.machine(busy, "gigafactory")).step_time_s.expected
    fast = predict(case, machines.machine(cluster, "gigafactory")).step_time_s.expected
    assert slow == pytest.approx(2.0 * fast, rel=0.02)


def test_one_rank_alone_takes_less_than_one_of_two_by_what_crowding_costs(
    cluster: Cluster,
) -> None:
    machine = machines.machine(cluster, "gigafactory")
    alone = predict(Case(MODEL, layout({"data_parallel": 1})), machine)
    calm = dict(machine.calibration.factors)
    del calm["crowding"]
    crowded = replace(machine, calibration=replace(machine.calibration, factors=calm))
    among = predict(Case(MODEL, layout({"data_parallel": 1})), crowded)
    share = alone.step_time_s.expected / among.step_time_s.expected
    assert share == pytest.approx(1.0 - made_machine.LOST, abs=0.01)


def test_cases_of_several_sizes_are_predicted_as_each_alone(cluster: Cluster) -> None:
    machine = machines.machine(cluster, "gigafactory")
    cases = [Case(MODEL, layout({"data_parallel": dp})) for dp in (1, 2)]
    assert predict_all(cases, machine) == [predict(case, machine) for case in cases]


def test_the_file_reads_back_equal_and_so_does_a_plan_on_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "machine.toml"
    files.write_whole(path, files.dumps(cluster))
    assert loader.cluster(str(path)) == cluster
    job = Job(tokens=1e6, seq_len=256, global_batch_size=8, start=dt.date(2026, 1, 1),
              precision="fp32")  # fmt: skip
    plan = Plan(model=MODEL, cluster=cluster, job=job, layout=layout({"data_parallel": 2}),
                checkpoint=CheckpointPolicy(interval_s=60.0), software="gigafactory")  # fmt: skip
    files.write_plan(plan, tmp_path / "plan.toml")
    assert files.read_plan(tmp_path / "plan.toml") == plan


def test_provenance_names_processor_version_load_and_what_was_left_out(cluster: Cluster) -> None:
    assert cluster.measured is not None
    note = cluster.measured.kernels.provenance.note
    for said in ("Made CPU", "2 cores", "load 0.1 before", "2026-01-01", "60 times"):
        assert said in note
    assert cluster.measured.kernels.provenance.version == "torch 2.13"


def changed(told: Measurements, kernel: str, times: float, share: float = 0.5) -> Measurements:
    """Return the measurements with the smaller shapes of a kernel that much slower."""
    work = [prod(s.shape.values()) for s in told.samples if s.kernel == kernel]
    edge = float(np.quantile(work, share))

    def slower(sample: Sample) -> Sample:
        if sample.kernel != kernel or prod(sample.shape.values()) > edge:
            return sample
        return replace(sample, seconds=tuple(s * times for s in sample.seconds))

    return replace(told, samples=tuple(map(slower, told.samples)))


@pytest.mark.parametrize(
    ("kernel", "times", "said"),
    [
        ("gemm.fp32", 100.0, "must not fall"),
        ("all_reduce", 1e4, "must not fall"),
        ("attention.fp32", -1.0, "finite number above 0"),
        ("stream", float("nan"), "finite number above 0"),
    ],
)
def test_times_that_cannot_be_are_refused_with_the_reason(
    kernel: str, times: float, said: str, told: Measurements
) -> None:
    with pytest.raises(SpecError, match=said):
        cluster_of(changed(told, kernel, times))


def test_layers_faster_than_their_products_are_refused(told: Measurements) -> None:
    quick = changed(told, "layer.fp32", 1e-3, share=1.0)
    quick = changed(quick, "layer_backward.fp32", 1e-3, share=1.0)
    with pytest.raises(SpecError, match="measure again"):
        cluster_of(quick)


@pytest.mark.parametrize(
    "kernel", ["gemm.fp32", "attention.fp32", "all_gather", "layer.fp32", "loss"]
)
def test_a_kernel_with_too_few_shapes_is_refused(kernel: str, told: Measurements) -> None:
    none = tuple(s for s in told.samples if s.kernel != kernel)
    with pytest.raises(SpecError, match=r"must have at least|was not measured"):
        cluster_of(replace(told, samples=none))


def test_a_machine_of_one_rank_has_no_exchanges_and_plans_for_one(told: Measurements) -> None:
    alone = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send",
             "tensor_launches", "tensor_alone", "shard_launches", "shard_alone")  # fmt: skip
    kept = tuple(s for s in told.samples if s.kernel not in alone)
    cluster = cluster_of(replace(told, ranks=1, samples=kept))
    case = Case(MODEL, layout({"data_parallel": 1}))
    assert predict(case, machines.machine(cluster, "gigafactory")).step_time_s.expected > 0


def test_a_sample_without_a_repeat_is_refused() -> None:
    with pytest.raises(SpecError, match="must hold a repeat"):
        Sample(kernel="gemm.fp32", shape={}, seconds=())
