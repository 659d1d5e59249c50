"""Clusters learned from runs: factors come back, what no run tells stays, mixtures are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.compare.learned import LearnedCluster, Observed, learn, learn_from, write_cluster
from gigafactory.compare.promised import promised
from gigafactory.errors import SpecError
from gigafactory.report.learned import learned_json, learned_sheets
from gigafactory.spec.calibration import Factor, StepCalibration
from gigafactory.spec.cluster import Cluster, Measured
from tests.made_run import begun, plan

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.compare import learned
    from gigafactory.spec.plan import Plan

CLOCK = "sustained.h100-sxm.bf16"
NETWORK = "nic_share.infiniband.h100"


def plans() -> list[Plan]:
    """Return layouts that lean on the clock and on the network to different degrees."""
    base = plan()
    flat = {"tensor_parallel": 1, "data_parallel": 64, "sequence_parallel": False,
            "global_batch_size": 64, "seq_len": 512}  # fmt: skip
    splits: list[dict[str, Any]] = [
        {}, {"tensor_parallel": 8, "data_parallel": 8}, {"tensor_parallel": 2, "data_parallel": 32},
        flat, flat | {"sharding": "zero3"}, flat | {"sharding": "none"},
    ]  # fmt: skip
    return [replace(base, layout=replace(base.layout, **split)) for split in splits]


def truth(**shift: float) -> Cluster:
    """Return the cluster with factors of the catalog moved by logarithms."""
    cluster = plan().cluster
    machine = machines.machine(cluster, "megatron-core")
    before = {
        "sustained": machine.calibration.lookup("sustained", "h100.bf16"),
        "nic_share": machine.factor("nic_share", "infiniband.h100", "infiniband"),
    }
    names = {"sustained": CLOCK, "nic_share": NETWORK}
    factors = {
        names[kind]: Factor(value=before[kind] * float(np.exp(by)), prior=0.0, reason="truth")
        for kind, by in shift.items()
    }
    told = StepCalibration(factors=factors)
    return replace(cluster, measured=Measured(kernels=machine.kernels, calibration=told))


def measured(cluster: Cluster, of: list[Plan]) -> list[Observed]:
    """Return what runs of plans take on a cluster, as if measured without noise."""
    return [
        Observed(
            f"run {n}", one, promised(replace(one, cluster=cluster)).step_time_s.expected, 1e-3
        )
        for n, one in enumerate(of)
    ]


def factor(found: LearnedCluster, name: str) -> learned.Learned:
    return next(one for one in found.factors if one.name == name)


def test_a_slow_clock_is_learned_from_one_run() -> None:
    found = learn(measured(truth(sustained=-0.1), plans()[:1]))
    clock = factor(found, CLOCK)
    assert clock.told
    assert clock.spread < clock.prior_spread
    assert clock.prior * np.exp(-0.1) < clock.value < clock.prior  # drawn towards the catalog
    assert abs(found.after["run 0"]) < abs(found.before["run 0"]) / 3
    assert not factor(found, NETWORK).told
    assert factor(found, NETWORK).value == factor(found, NETWORK).prior


def test_more_runs_come_closer_to_the_truth() -> None:
    slow = truth(sustained=-0.1)
    one, all_of_them = learn(measured(slow, plans()[:1])), learn(measured(slow, plans()))
    goal = factor(one, CLOCK).prior * np.exp(-0.1)
    assert abs(factor(all_of_them, CLOCK).value - goal) < abs(factor(one, CLOCK).value - goal)
    assert factor(all_of_them, CLOCK).spread < factor(one, CLOCK).spread


def test_layouts_that_wait_for_the_network_tell_it_apart_from_the_clock() -> None:
    found = learn(measured(truth(nic_share=-0.7), plans()))
    network, clock = factor(found, NETWORK), factor(found, CLOCK)
    assert network.told
    assert network.value < 0.75 * network.prior
    assert clock.value == pytest.approx(clock.prior, rel=0.03)


def test_runs_as_the_catalog_has_them_move_nothing() -> None:
    found = learn(measured(plan().cluster, plans()))
    for one in found.factors:
        assert one.value == pytest.approx(one.prior, rel=1e-6)
    assert max(map(abs, found.after.values())) < 1e-9


def test_the_cluster_is_a_file_that_plans_take(tmp_path: Path) -> None:
    found = learn(measured(truth(sustained=-0.1), plans()))
    write_cluster(found, tmp_path / "cluster.toml")
    cluster = loader.cluster(str(tmp_path / "cluster.toml"))
    assert cluster == found.cluster
    here = promised(replace(plan(), cluster=cluster)).step_time_s
    slow = promised(replace(plan(), cluster=truth(sustained=-0.1))).step_time_s
    assert here.expected == pytest.approx(slow.expected, rel=0.02)


def test_a_run_folder_is_learned_from(tmp_path: Path) -> None:
    expected = promised(plan()).step_time_s.expected
    made = begun(tmp_path / "run")
    made.steps(60, 1.1 * expected)
    found = learn_from([tmp_path / "run"])
    assert found.before["run"] == pytest.approx(1 / 1.1 - 1)
    assert abs(found.after["run"]) < 0.03


def test_too_few_steps_and_no_run_are_refused(tmp_path: Path) -> None:
    made = begun(tmp_path / "run")
    made.steps(20, 2.0)
    with pytest.raises(SpecError, match=r"at least 20 after warm-up.*got 17"):
        learn_from([tmp_path / "run"])
    with pytest.raises(SpecError, match="needs a run folder or a log"):
        learn_from([])
    with pytest.raises(SpecError, match="--log needs --plan"):
        learn_from([], [tmp_path / "a.log"])


def test_all_that_does_not_belong_together_is_named_at_once() -> None:
    good = measured(plan().cluster, plans()[:1])[0]
    fp8 = replace(plan(), layout=replace(plan().layout, precision="fp8"))
    other = replace(plan(), cluster=loader.cluster_of("a100-sxm-80", 64), software="torchtitan")
    with pytest.raises(SpecError) as raised:
        learn([good, Observed("b", fp8, 0.0, 0.0), Observed("c", other, float("nan"), 0.0)])
    for words in ("b: step time must be above 0, got 0.0", "c: step time must be above 0, got nan",
                  "b: precision must be that of run 0, bf16, got fp8",
                  "c: accelerator must be that of run 0, h100-sxm, got a100-sxm-80",
                  "c: software must be that of run 0, megatron-core, got torchtitan"):  # fmt: skip
        assert words in str(raised.value)


def test_people_and_programs_are_told_what_runs_do_not_tell() -> None:
    found = learn(measured(truth(sustained=-0.1), plans()[:1]))
    factors, errors = learned_sheets(found)
    assert "do not tell nic_share" in factors.note
    assert errors.rows[0][0] == "run 0"
    told = learned_json(found)
    assert {one["name"]: one["told"] for one in told["factors"]}[CLOCK]
    assert told["relative_error_before"]["run 0"] < 0
