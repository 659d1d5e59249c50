"""Machine output holds the keys that were promised, in one line, with null for the unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gigafactory.errors import CatalogError, DoesNotFit, SpecError
from gigafactory.plan.answer import NothingFits
from gigafactory.report.as_json import (
    error_json,
    explain_json,
    nothing_fits_json,
    one_line,
    plan_json,
)
from tests.made_answer import ANSWER, LAYOUT, UNPRICED
from tests.made_explanation import RUN

INTERVAL = {"low": 0, "expected": 0, "high": 0}
LAYOUT_KEYS = dict.fromkeys(
    (
        "tensor_parallel", "sequence_parallel", "pipeline_parallel", "virtual_pipeline",
        "data_parallel", "data_shard", "context_parallel", "expert_parallel",
        "expert_tensor_parallel", "micro_batch_size", "global_batch_size", "seq_len", "sharding",
        "recompute", "precision", "schedule",
    ),
    0,
)  # fmt: skip
PROMISED: dict[str, Any] = {
    "schema": 1, "model": "", "cluster": "", "num_gpus": 0, "gpus_used": 0, "layout": LAYOUT_KEYS,
    "prediction": {
        "step_time_s": INTERVAL, "mfu": 0, "tokens_per_s": 0, "tokens_per_s_per_gpu": 0,
        "memory_bytes": 0, "memory_capacity_bytes": 0,
        "breakdown_s": {
            "compute": 0, "memory_bound": 0, "tensor_comm": 0, "context_comm": 0, "expert_comm": 0,
            "pipeline_comm": 0, "pipeline_bubble": 0, "data_comm": 0, "optimizer": 0, "host": 0,
            "jitter": 0,
        },
        "bounded_by": "", "assumptions": [{"what": "", "value": 0, "source": ""}],
    },
    "run": {
        "tokens": 0, "steps": 0, "productive_days": 0, "goodput": 0, "start": "",
        "finish": {"low": "", "expected": "", "high": ""}, "by": "", "on_time": True,
    },
    "power": {"it_w": 0, "facility_w": INTERVAL, "energy_mwh": 0, "co2_kg": 0},
    "cost": {"usd": INTERVAL, "usd_per_gpu_hour": 0, "capex_usd": 0},
    "search": {"considered": 0, "priced": 0, "fits": 0, "wall_s": 0},
    "alternatives": [{"layout": LAYOUT_KEYS, "step_time_s": 0, "memory_bytes": 0, "fits": True}],
}  # fmt: skip


def read(found: dict[str, Any]) -> Any:
    """Return machine output as another program reads it."""
    line = one_line(found)
    assert "\n" not in line
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def missing(promised: Any, found: Any, path: str = "") -> list[str]:
    """Return the paths that are promised and not there, or there as another kind of value."""
    if isinstance(promised, dict):
        if not isinstance(found, dict):
            return [path]
        return [
            fault
            for key, value in promised.items()
            for fault in (
                missing(value, found[key], f"{path}.{key}") if key in found else [f"{path}.{key}"]
            )
        ]
    if isinstance(promised, list):
        faults = [missing(promised[0], one, f"{path}[]") for one in found]
        return [fault for some in faults for fault in some] if found else [path]
    return [path] if isinstance(found, dict | list) else []


def test_the_check_of_keys_finds_a_missing_key_and_a_changed_kind() -> None:
    found = read(plan_json(ANSWER, 0.5))
    del found["power"]["facility_w"]["low"]
    found["run"]["goodput"] = {"expected": 0.9}
    assert missing(PROMISED, found) == [".run.goodput", ".power.facility_w.low"]


def test_a_plan_holds_every_promised_key_at_its_place() -> None:
    assert missing(PROMISED, read(plan_json(ANSWER, 0.5))) == []


def test_a_plan_says_what_the_answer_says() -> None:
    found = read(plan_json(ANSWER, 0.5))
    assert (found["schema"], found["model"], found["cluster"]) == (1, "made-moe", "made-cluster")
    assert (found["num_gpus"], found["gpus_used"]) == (1100, 1024)
    assert found["layout"]["data_shard"] == 32
    assert found["prediction"]["step_time_s"] == {"low": 9.0, "expected": 10.0, "high": 12.0}
    assert found["prediction"]["memory_bytes"] == 66e9
    assert found["run"]["goodput"] == 0.9
    assert found["run"]["finish"] == {
        "low": "2025-01-15", "expected": "2025-01-17", "high": "2025-01-22",
    }  # fmt: skip
    assert found["run"]["on_time"] is True
    assert found["cost"]["usd_per_gpu_hour"] == 2.25
    assert found["search"] == {
        "considered": 1_000_000, "priced": 250_000, "fits": 100_000, "wall_s": 0.5,
    }  # fmt: skip


def test_the_breakdown_sums_to_the_expected_step() -> None:
    found = read(plan_json(ANSWER, 0.5))["prediction"]
    assert sum(found["breakdown_s"].values()) == pytest.approx(found["step_time_s"]["expected"])


def test_a_layout_sharded_over_all_its_data_ranks_says_how_many() -> None:
    alternative = read(plan_json(ANSWER, 0.5))["alternatives"][0]
    assert alternative["layout"]["data_shard"] == alternative["layout"]["data_parallel"] == 32


def test_what_has_no_published_price_or_power_is_null_under_the_same_keys() -> None:
    found = read(plan_json(UNPRICED, 0.5))
    for part in ("power", "cost"):
        assert set(PROMISED[part]) <= set(found[part])
        assert set(found[part].values()) == {None}


def test_nothing_that_fits_names_the_nearest_layout_and_what_would_help() -> None:
    error = NothingFits(LAYOUT, 96e9, ["2,048 GPUs instead of 1,024"])
    found = read(nothing_fits_json(error))
    assert found["layout"] is None
    assert missing({"layout": LAYOUT_KEYS, "memory_bytes": 0}, found["nearest"]) == []
    assert found["nearest"]["would_fit_if"] == ["2,048 GPUs instead of 1,024"]


def test_a_limit_that_no_size_meets_has_no_nearest_layout() -> None:
    found = read(nothing_fits_json(DoesNotFit("no size meets the date")))
    assert (found["layout"], found["nearest"]) == (None, None)
    assert found["message"] == "no size meets the date"


@pytest.mark.parametrize("kind", [SpecError, CatalogError])
def test_an_error_names_its_kind_and_its_field(kind: type[SpecError]) -> None:
    assert read(error_json(kind("tokens must be above 0", field="tokens"))) == {
        "schema": 1,
        "error": {"kind": kind.__name__, "message": "tokens must be above 0", "field": "tokens"},
    }


def test_an_explanation_sets_the_measured_step_beside_the_predicted_one() -> None:
    found = read(explain_json(RUN))
    assert found["measured"] == {"step_time_s": 8.0, "source": "a paper, table 1, 2025"}
    assert found["relative_error"] == pytest.approx(0.25)
    assert found["inside_interval"] is False
    assert sum(found["share"].values()) == pytest.approx(1.0)
    assert found["assumed"][0]["what"] == "virtual_pipeline"
    assert [one["relative_error"] for one in found["siblings"]] == [pytest.approx(-0.1), None]
    plan = read(explain_json(replace(RUN, measured_s=None, assumed=(), siblings=())))
    for key in ("measured", "relative_error", "inside_interval"):
        assert plan[key] is None
    assert (plan["assumed"], plan["siblings"]) == ([], [])


def test_an_explanations_operators_sum_to_the_step_and_count_flops_or_bytes() -> None:
    found = read(explain_json(RUN))
    step_s = found["prediction"]["step_time_s"]["expected"]
    assert sum(row["exposed_s"] for row in found["operators"]) == pytest.approx(step_s)
    assert sum(row["share"] for row in found["operators"]) == pytest.approx(1.0)
    by_part = dict.fromkeys(found["prediction"]["breakdown_s"], 0.0)
    for row in found["operators"]:
        by_part[row["part"]] += row["exposed_s"]
    assert by_part == pytest.approx(found["prediction"]["breakdown_s"])
    product, transfer = found["operators"][0], found["operators"][2]
    assert product["flops_per_s"] == 6e14
    assert product["bytes_per_s"] is None
    assert transfer["bytes_per_s"] == 3e11
    assert transfer["flops"] is None
    resources = {row["resource"]: row for row in found["resources"]}
    assert sum(row["exposed_s"] for row in resources.values()) == pytest.approx(step_s)
    assert resources["link"]["busy"] == pytest.approx(0.15)


def test_numbers_of_numpy_are_numbers_and_no_number_is_null() -> None:
    found = {
        "a": np.float64(1.5), "b": np.int64(3), "c": np.bool_(True), "d": float("nan"),
        "e": np.float64("inf"), "f": (np.float32(0.5),),
    }  # fmt: skip
    assert one_line(found) == '{"a":1.5,"b":3,"c":true,"d":null,"e":null,"f":[0.5]}'


def test_what_no_json_can_hold_is_our_own_bug() -> None:
    with pytest.raises(TypeError, match="object"):
        one_line({"a": object()})
