"""`giga simulate`: the output is the contract, mistakes are told, one seed is one answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gigafactory.catalog import files, loader
from gigafactory.run.record import RunFolder
from gigafactory.spec.run import Event
from tests.integration.test_cli_command import giga
from tests.made_plans import made_plan

HBD: Final = Path(__file__).parent.parent / "data" / "infinitehbd" / "fault_trace.json"
QUICK: Final = ("--days", "10", "--seeds", "20")
KEYS: Final = {
    "": "schema seeds days num_gpus interruptions mtbf_s goodput lost_fraction checkpoint spares "
        "finish power wall_s",
    "interruptions": "mean p05 p10 p50 p90 p95",
    "goodput": "mean p05 p10 p50 p90 p95",
    "lost_fraction": "detect restart rework checkpoint degraded waiting idle",
    "checkpoint": "interval_s optimal_interval_s blocking_s bytes",
    "spares": "used enough_p99",
    "finish": "p10 p50 p90",
    "power": "mean_w p99_w swing_w",
}  # fmt: skip


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    made = made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, data_parallel=128,
        schedule="interleaved", virtual_pipeline=8,
    )  # fmt: skip
    made = replace(made, checkpoint=replace(made.checkpoint, interval_s=120.0))
    files.write_plan(made, tmp_path / "plan.toml")
    return tmp_path / "plan.toml"


def told(*arguments: str | Path) -> dict[str, Any]:
    ran = giga("simulate", *arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_machine_output_has_the_keys_of_the_contract(plan: Path) -> None:
    found = told(plan, "--days", "54", "--faults", "llama3-h100", "--seeds", "50")
    for path, keys in KEYS.items():
        assert set(found[path] if path else found) >= set(keys.split()), path
    assert (found["seeds"], found["days"], found["num_gpus"]) == (50, 54, 16_384)
    lost = sum(found["lost_fraction"].values())
    assert found["goodput"]["mean"] + lost == pytest.approx(1.0, abs=1e-9)
    assert found["interruptions"]["p05"] <= 419 <= found["interruptions"]["p95"]
    assert found["goodput"]["mean"] > 0.9


def test_the_same_seed_is_the_same_answer_and_another_is_not(plan: Path) -> None:
    first, second, third = (told(plan, *QUICK, "--seed", seed) for seed in ("3", "3", "4"))
    for one in (first, second, third):
        one.pop("wall_s")
    assert first == second
    assert first != third


def test_the_answer_for_people_says_when_and_what_is_lost(plan: Path) -> None:
    ran = giga("simulate", plan, *QUICK)
    assert ran.code == 0
    for words in ("Ends on", "What is lost to what", "restart", "enough for 99 of 100 runs"):
        assert words in ran.out


def test_a_story_is_read_back_as_events_of_a_run(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    assert giga("simulate", plan, *QUICK, "--story", out).code == 0
    events = [Event(**json.loads(line)) for line in out.read_text().splitlines()]
    assert {one.kind for one in events} >= {"start", "failure", "restart", "resume", "finish"}
    folder = RunFolder(tmp_path)
    assert len(list(folder.events())) == len(events)


def test_power_is_told_each_second_around_events(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "power.csv"
    smooth = ("--ramp", "200kW", "--battery", "50MW", "--battery-energy", "50MWh")
    found = told(plan, *QUICK, "--power", out, *smooth)
    head, *rows = out.read_text().splitlines()
    assert head == "time_s,load_w,grid_w,battery_w"
    values = [[float(cell) for cell in row.split(",")] for row in rows]
    assert all(load == pytest.approx(grid + battery, abs=2) for _, load, grid, battery in values)
    assert found["grid"]["largest_grid_step_w"] <= 200e3
    assert found["grid"]["largest_load_step_w"] > 1e6


def test_a_page_holds_all_four_plots(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    ran = giga("simulate", plan, *QUICK, "--html", out)
    assert ran.code == 0, ran.err
    text = out.read_text()
    assert text.count("<svg") == 4
    for words in ("From all of the time", "End over", "What moves the end", "MW at the meter"):
        assert words in text


@pytest.mark.parametrize("rule", ["young", "daly", "best", "search", "600"])
def test_every_rule_for_the_interval_answers(plan: Path, rule: str) -> None:
    found = told(plan, "--days", "3", "--seeds", "5", "--interval", rule)
    best = found["checkpoint"]["optimal_interval_s"]
    expected = 600.0 if rule == "600" else best
    loose = 0.5 if rule == "search" else 0.05  # the top is flat
    assert found["checkpoint"]["interval_s"] == pytest.approx(expected, rel=loose)


def test_a_story_saves_as_often_as_the_search_found(plan: Path, tmp_path: Path) -> None:
    searched = told(plan, "--days", "3", "--seeds", "5", "--interval", "search")
    assert searched["checkpoint"]["rule"] == "search"
    found = repr(searched["checkpoint"]["interval_s"])
    for name, interval in (("first", "search"), ("second", found)):
        told(plan, "--days", "3", "--seeds", "5", "--interval", interval, "--story",
             tmp_path / name)  # fmt: skip
    assert (tmp_path / "first").read_text() == (tmp_path / "second").read_text()


def test_policies_compare_as_they_should(plan: Path) -> None:
    at = ("--days", "20", "--seeds", "60", "--faults", "ft-hsdp")
    good = {
        policy: told(plan, *at, "--policy", policy)["goodput"]["mean"]
        for policy in ("restart", "warm", "elastic")
    }
    assert good["restart"] < good["warm"] < good["elastic"]


def test_few_spares_make_the_run_wait(plan: Path) -> None:
    few, many = (told(plan, "--days", "20", "--seeds", "30", "--spares", n) for n in ("10", "500"))
    assert few["lost_fraction"]["waiting"] > 0.1
    assert many["lost_fraction"]["waiting"] == 0
    assert few["spares"]["enough_p99"] == many["spares"]["enough_p99"] > 10


def test_a_trace_is_fitted(plan: Path) -> None:
    found = told(plan, *QUICK, "--faults", HBD, "--trace-nodes", "400")
    # 529 groups of faults of 400 nodes in 348.98 days, on 2,048 nodes for 10 days
    assert found["interruptions"]["mean"] == pytest.approx(529 / 400 / 348.98 * 20_480, rel=0.15)
    assert "Hardware: GPU" in found["causes"]


def test_a_growing_machine_ends_later_than_a_whole_one(plan: Path, tmp_path: Path) -> None:
    table = tmp_path / "growth.csv"
    table.write_text("num_gpus,p10,p50,p90\n8192,2026-01-05,2026-01-10,2026-01-20\n"
                     "16384,2026-02-01,2026-02-10,2026-04-01\n")  # fmt: skip
    grown, whole = (told(plan, "--seeds", "40", *more) for more in (("--growth", table), ()))
    assert grown["finish"]["p50"] > whole["finish"]["p50"]
    assert grown["finish"]["p90"] > grown["finish"]["p10"]
    assert grown["power"]["mean_w"] < whole["power"]["mean_w"]


@pytest.mark.parametrize(("arguments", "rules"), [
    (("--days", "-3"), ["--days must be above 0"]),
    (("--days", "nan"), ["--days must be above 0"]),
    (("--spares", "-1", "--seeds", "0"), ["--seeds must be between 1", "--spares must be between"]),
    (("--interval", "0.1"), ["--interval must be longer than the checkpoint"]),
    (("--interval", "often"), ["--interval must be seconds or one of plan, young"]),
    (("--policy", "hope", "--arrivals", "x"), ["--policy must be one of", "--arrivals must be"]),
    (("--policy", "elastic"), ["times no elastic recovery"]),
    (("--faults", "llama4"), ["unknown name 'llama4', nearest: llama3-h100"]),
    (("--faults", "nowhere.json"), ["nowhere.json: cannot be read"]),
    (("--trace-nodes", "3"), ["--trace-nodes goes with"]),
    (("--filler", "2"), ["--filler must be between 0 and 1"]),
    (("--ramp", "0"), ["--ramp must be above 0"]),
    (("--battery", "-3MW"), ["--battery must not be negative"]),
    (("--maintenance-every", "-1"), ["--maintenance-every must be between 0"]),
    (("--memory-every", "0"), ["--memory-every must be between 1"]),
    (("--evict-after", "300"), ["--evict-after must be between 0 and 255"]),
    (("--seed", "-1"), ["--seed must not be negative"]),
    (("--days", "36000", "--faults", "ft-hsdp", "--maintenance-every", "0.0025"), ["--days must"]),
])  # fmt: skip
def test_mistakes_are_told_in_one_line(plan: Path, arguments: Any, rules: list[str]) -> None:
    ran = giga("simulate", plan, *arguments, "--json")
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1
    for rule in rules:
        assert rule in ran.err
        assert rule in ran.json["error"]["message"]


@pytest.mark.parametrize("table", [
    "", "a,b\n1,2\n", "num_gpus,date\nmany,2026-01-01\n", "num_gpus,date\n8192,soon\n",
    "num_gpus,date\n16384,2026-03-01\n8192,2026-02-01\n", "num_gpus,date\n8192,2026-01-01\n",
    "num_gpus,date\n-5,2026-01-01\n16384,2026-03-01\n",
])  # fmt: skip
def test_a_table_of_growth_at_fault_is_refused(plan: Path, tmp_path: Path, table: str) -> None:
    path = tmp_path / "growth.csv"
    path.write_text(table)
    ran = giga("simulate", plan, *QUICK, "--growth", path)
    assert ran.code == 2, ran
    assert ran.err.count("\n") == 1


def test_stops_that_follow_each_other_too_closely_never_let_the_job_train(plan: Path) -> None:
    ran = giga("simulate", plan, "--days", "36000", "--maintenance-every", "0.001")
    assert ran.code == 1, ran
    assert "a planned stop every 86 s takes" in ran.err


def test_a_job_that_never_progresses_says_so_with_the_largest_size_that_would(
    plan: Path, tmp_path: Path
) -> None:
    made = loader.faults("ft-hsdp")
    slow = tmp_path / "slow.toml"
    hours = tuple(8.0 * 3600.0 * (1 + i) for i in range(len(made.restart_gpus)))
    text = files.dumps(replace(made, name="slow", restart_s=hours, communicator_s=(),
                               warm_restart_s=(), elastic=None))  # fmt: skip
    slow.write_text(text)
    ran = giga("simulate", plan, "--faults", slow, "--days", "5", "--json")
    assert ran.code == 1, ran
    assert "never progresses" in ran.err
    words = ran.err.split("at most ")[1].split(" GPUs")[0]
    assert 8 <= int(words.replace(",", "")) < 16_384
