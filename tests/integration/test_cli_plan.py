"""`giga plan`: machine output is the contract, and its answers hold when asked back."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from gigafactory.catalog import loader
from tests.integration.test_cli_command import answered, giga, is_one_line, told

ANY_SIZE: Final = ("plan", "llama-3.1-8b", "--gpu", "h100-sxm", "--tokens", "1e12",
                   "--start", "2026-06-01")  # fmt: skip
SMALL: Final = (*ANY_SIZE, "--gpus", "64")
KEYS: Final = {
    "": "schema model cluster num_gpus gpus_used layout prediction run power cost search "
    "alternatives",
    "layout": "tensor_parallel sequence_parallel pipeline_parallel virtual_pipeline data_parallel "
    "data_shard context_parallel expert_parallel expert_tensor_parallel micro_batch_size "
    "global_batch_size seq_len sharding recompute precision schedule",
    "prediction": "step_time_s mfu tokens_per_s tokens_per_s_per_gpu memory_bytes "
    "memory_capacity_bytes breakdown_s bounded_by assumptions",
    "prediction.step_time_s": "low expected high",
    "prediction.breakdown_s": "compute memory_bound tensor_comm context_comm expert_comm "
    "pipeline_comm pipeline_bubble data_comm optimizer host jitter",
    "prediction.assumptions.0": "what value source",
    "run": "tokens steps productive_days goodput start finish by on_time",
    "run.finish": "low expected high",
    "power": "it_w facility_w energy_mwh co2_kg",
    "power.facility_w": "low expected high",
    "cost": "usd usd_per_gpu_hour capex_usd",
    "cost.usd": "low expected high",
    "search": "considered priced fits wall_s",
    "alternatives.0": "layout step_time_s memory_bytes fits",
}
LLAMA_8B: Final = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096,
    "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 128256, "max_position_embeddings": 131072,
}  # fmt: skip
FRONTIER: Final = ("plan", "grok-1", "--cluster", "gigafactory", "--tokens", "15e12")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """Return a plan of 64 GPUs."""
    return told(*SMALL, "--by", "2026-12-31")


def within(found: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        found = found[int(key) if key.isdigit() else key]
    return found


def expected_s(found: dict[str, Any]) -> float:
    return float(found["prediction"]["step_time_s"]["expected"])


def days(found: dict[str, Any]) -> float:
    return float(found["run"]["productive_days"]) / float(found["run"]["goodput"])


@pytest.mark.parametrize("path", list(KEYS))
def test_machine_output_has_the_keys_of_the_contract(small: dict[str, Any], path: str) -> None:
    assert set(within(small, path)) >= set(KEYS[path].split())


def test_the_breakdown_has_no_other_parts_and_sums_to_the_step(small: dict[str, Any]) -> None:
    parts = small["prediction"]["breakdown_s"]
    assert set(parts) == set(KEYS["prediction.breakdown_s"].split())
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(expected_s(small), rel=1e-9)
    assert parts[small["prediction"]["bounded_by"]] == max(parts.values())


def test_intervals_hold_what_is_expected(small: dict[str, Any]) -> None:
    paths = ("prediction.step_time_s", "run.finish", "power.facility_w", "cost.usd")
    for path in paths:
        found = within(small, path)
        assert found["low"] <= found["expected"] <= found["high"], path


def test_the_numbers_of_a_plan_agree(small: dict[str, Any]) -> None:
    layout, run, prediction = small["layout"], small["run"], small["prediction"]
    degrees = ("tensor_parallel", "pipeline_parallel", "data_parallel", "context_parallel")
    gpus = 1
    for degree in degrees:
        gpus *= layout[degree]
    step_tokens = layout["global_batch_size"] * layout["seq_len"]
    assert small["gpus_used"] == gpus <= small["num_gpus"] == 64
    assert prediction["tokens_per_s"] == pytest.approx(step_tokens / expected_s(small))
    assert prediction["tokens_per_s_per_gpu"] == pytest.approx(prediction["tokens_per_s"] / gpus)
    assert prediction["memory_bytes"] <= prediction["memory_capacity_bytes"]
    assert run["steps"] == -(-int(run["tokens"]) // step_tokens)
    productive_s = run["steps"] * expected_s(small)
    assert run["productive_days"] == pytest.approx(productive_s / 86_400)
    assert run["start"] == "2026-06-01"
    assert run["on_time"] is (run["finish"]["expected"] <= run["by"])
    search = small["search"]
    assert search["considered"] >= search["priced"] >= search["fits"] > 0
    others = small["alternatives"]
    assert all(other["step_time_s"] >= expected_s(small) for other in others)
    assert all(other["layout"] != layout for other in others)


def test_people_get_tables_and_no_json() -> None:
    ran = answered(*SMALL)
    assert not ran.out.startswith("{")
    assert "llama-3.1-8b" in ran.out
    assert ran.err == ""


def test_the_same_question_has_the_same_answer(small: dict[str, Any]) -> None:
    again = told(*SMALL, "--by", "2026-12-31")
    assert {**again, "search": None} == {**small, "search": None}


def test_a_late_date_is_an_answer() -> None:
    run = told(*SMALL, "--by", "2026-06-02")["run"]
    assert run["on_time"] is False
    assert run["finish"]["expected"] > run["by"] == "2026-06-02"


def test_a_cluster_starts_on_the_day_it_is_there_and_says_which_gpus_stand_idle() -> None:
    found = told("plan", "llama-3.1-8b", "--cluster", "eos", "--tokens", "1e12")
    assert found["run"]["start"] == "2023-11-01"
    assert found["gpus_used"] < found["num_gpus"] == 4608
    assert any(f"{found['gpus_used']:,} of 4,608" in note for note in found["notes"])


def test_a_cluster_from_a_file_plans_as_the_catalogs_does() -> None:
    text = (loader.DATA / "clusters" / "eos.toml").read_text(encoding="utf-8")
    Path("mine.toml").write_text(text, encoding="utf-8")
    question = ("plan", "llama-3.1-8b", "--tokens", "1e12", "--cluster")
    mine, known = told(*question, "mine.toml"), told(*question, "eos")
    assert {**mine, "search": None} == {**known, "search": None}


@pytest.mark.parametrize("name", ["config.json", "."])
def test_a_config_of_hugging_face_plans_as_the_catalogs_model(
    small: dict[str, Any], name: str
) -> None:
    Path("config.json").write_text(json.dumps(LLAMA_8B), encoding="utf-8")
    found = told("plan", f"{Path.cwd()}/{name}", *SMALL[2:])
    assert found["layout"] == small["layout"]
    assert found["prediction"]["breakdown_s"] == small["prediction"]["breakdown_s"]


def test_fp8_is_planned_in_fp8_and_steps_faster(small: dict[str, Any]) -> None:
    found = told(*SMALL, "--precision", "fp8")
    assert found["layout"]["precision"] == "fp8"
    assert expected_s(found) < expected_s(small)


def test_a_sequence_length_is_kept() -> None:
    layout = told(*SMALL, "--seq-len", "4096")["layout"]
    assert layout["seq_len"] == 4096
    assert layout["global_batch_size"] * 4096 <= 16_777_216


def test_a_batch_above_the_bound_is_planned_and_warned_of() -> None:
    ran = answered(*SMALL, "--global-batch-tokens", "201326592", "--json")
    assert ran.json["layout"]["global_batch_size"] * 8192 == 201_326_592
    assert is_one_line(ran.err)
    assert "16,777,216" in ran.err
    assert "201,326,592" in ran.err


def test_a_batch_at_the_bound_is_not_warned_of() -> None:
    assert answered(*SMALL, "--global-batch-tokens", "16777216", "--json").err == ""


def test_a_frontier_machine_is_planned() -> None:
    found = told(*FRONTIER)
    assert found["run"]["start"] == "2025-09-30"
    assert found["num_gpus"] == 100_000
    assert found["search"]["priced"] >= 10_000
    assert found["layout"]["global_batch_size"] * found["layout"]["seq_len"] <= 16_777_216


def test_the_fewest_gpus_that_meet_a_date_are_found() -> None:
    by = ("--by", "2026-07-15")
    found = told(*ANY_SIZE, *by)
    fewest = found["gpus_used"]
    assert found["run"]["on_time"] is True
    assert found["num_gpus"] == fewest > 1
    assert told(*ANY_SIZE, *by, "--gpus", str(fewest))["run"]["on_time"] is True
    assert told(*ANY_SIZE, *by, "--gpus", str(fewest - 1))["run"]["on_time"] is False


def test_an_earlier_date_needs_more_gpus() -> None:
    dates = ("2026-12-31", "2026-08-01", "2026-06-15")
    needed = [told(*ANY_SIZE, "--by", by)["gpus_used"] for by in dates]
    assert needed == sorted(set(needed))


def test_a_power_cap_is_kept_and_used() -> None:
    found = told(*ANY_SIZE, "--power-cap", "20MW")
    assert found["power"]["facility_w"]["expected"] <= 20e6
    twice = told(*ANY_SIZE, "--gpus", str(2 * found["num_gpus"]))
    assert twice["power"]["facility_w"]["expected"] > 20e6
    assert expected_s(twice) < expected_s(found)


def test_a_power_cap_reads_as_watts_too() -> None:
    assert (
        told(*ANY_SIZE, "--power-cap", "1e6")["layout"]
        == (told(*ANY_SIZE, "--power-cap", "1MW")["layout"])
    )


def test_a_budget_is_kept_and_less_money_takes_longer() -> None:
    rich, poor = told(*ANY_SIZE, "--budget", "5e6"), told(*ANY_SIZE, "--budget", "80000")
    assert rich["cost"]["usd"]["expected"] <= 5e6
    assert poor["cost"]["usd"]["expected"] <= 80_000
    assert days(poor) > days(rich)


@pytest.mark.parametrize(
    "limit",
    [("--power-cap", "1W"), ("--budget", "1"), ("--by", "2026-06-02"),
     ("--by", "2026-12-31", "--budget", "1")],
)  # fmt: skip
def test_a_limit_that_no_size_keeps_is_told_in_one_line(limit: tuple[str, ...]) -> None:
    heavy = ("plan", "llama-3.1-405b", *ANY_SIZE[2:5], "1e15", *ANY_SIZE[6:])
    assert heavy[4:6] == ("--tokens", "1e15")
    ran = giga(*heavy, *limit, "-o", "plan.toml", "--json")
    assert ran.code == 1
    assert is_one_line(ran.err)
    assert limit[-2] in ran.err
    assert ran.json["layout"] is None
    assert "nearest" in ran.json
    assert list(Path.cwd().iterdir()) == []


def test_what_the_cheapest_is_said_to_cost_buys_it() -> None:
    refusal = giga(*ANY_SIZE, "--budget", "1").err
    cheapest = re.search(r"costs \$([\d,]+)", refusal)
    assert cheapest is not None, refusal
    enough = int(cheapest[1].replace(",", "")) + 1
    assert told(*ANY_SIZE, "--budget", str(enough))["cost"]["usd"]["expected"] <= enough
    assert giga(*ANY_SIZE, "--budget", str(enough - 2)).code == 1


def test_without_a_start_or_a_dated_cluster_the_run_starts_today() -> None:
    before = dt.date.today()
    start = told("plan", "llama-3.1-8b", "--gpu", "h100-sxm", "--gpus", "8", "--tokens", "1e9")
    assert before <= dt.date.fromisoformat(start["run"]["start"]) <= dt.date.today()


def test_the_page_is_one_file_that_asks_nothing_of_the_network() -> None:
    answered(*SMALL, "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert [path.name for path in Path.cwd().iterdir()] == ["page.html"]
    assert "<svg" in page
    loads = r"""(?:src|href)\s*=\s*["'](?!#|data:)|url\((?!#|["']?#|["']?data:)|@import|<link"""
    assert re.findall(loads, page) == []
