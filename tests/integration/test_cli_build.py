"""`giga build`: its output is the contract, all faults are told at once, plans use the phases."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

import pytest

from gigafactory.catalog import loader
from tests.integration.test_cli_command import answered, giga, refused, told

BUILD: Final = ("build", "gigafactory", "--by", "2025-09-30", "--samples", "4000")
KEYS: Final = {
    "": "schema samples by p_on_time finish criticality phases reference_class wall_s",
    "finish": "p10 p50 p90",
    "phases.0": "num_gpus date",
    "phases.0.date": "p10 p50 p90",
    "reference_class.0": "as_of p_on_time n censored",
    "reference_class.0.reconciled": "weights p_on_time finish",
    "bill": "facility_w capex_usd usd_per_gpu usd_per_gpu_hour delay_usd_per_month lines",
    "bill.lines.0": "what unit amount source",
    "assumptions.0": "where what value",
}
BROKEN: Final = """
schema = 1
name = "broken"
title = "Everything wrong"
start = 2025-06-01
phases = [{ num_gpus = 8, when = "nowhere" }]

[tasks.a]
duration = { kind = "fixed", days = -3.0 }
after = ["c"]

[tasks.b]
duration = { kind = "triangular", low_days = 9.0, mode_days = 5.0, high_days = 7.0 }
after = ["a", "nobody"]

[tasks.c]
duration = { kind = "fixed", days = 3.0 }
after = ["b"]

[alternatives.power]
branches = []

[risks.rain]
probability = 1.5
delay = { kind = "fixed", days = 3.0 }
tasks = ["a"]

[source]
default = "made"
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return told(*BUILD)


def within(found: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        found = found[int(key) if key.isdigit() else key]
    return found


@pytest.mark.parametrize("path", list(KEYS))
def test_machine_output_has_the_keys_of_the_contract(found: dict[str, Any], path: str) -> None:
    assert set(within(found, path)) >= set(KEYS[path].split())


def test_the_numbers_of_an_answer_agree(found: dict[str, Any]) -> None:
    assert (found["schema"], found["samples"], found["by"]) == (1, 4000, "2025-09-30")
    assert 0 <= found["p_on_time"] <= 1
    assert found["finish"] == found["phases"][-1]["date"]
    for phase in found["phases"]:
        date = phase["date"]
        assert date["p10"] <= date["p50"] <= date["p90"]
    assert (found["p_on_time"] >= 0.5) == (found["finish"]["p50"] <= found["by"])
    assert [one["num_gpus"] for one in found["phases"]] == [25_000, 100_000]
    assert [one["as_of"] for one in found["reference_class"]] == ["2024-05-25", "2026-03-06"]
    assert all(0 <= share <= 1 for share in found["criticality"].values())
    for task in found["tasks"]:
        assert sum(task["taken"].values()) == pytest.approx(1.0 if task["taken"] else 0.0)
    for view in found["reference_class"]:
        weights, pool = view["reconciled"]["weights"], view["reconciled"]["p_on_time"]
        exact = weights["inside"] * found["p_on_time"] + weights["outside"] * view["p_on_time"]
        assert pool == pytest.approx(exact)


def test_the_promise_is_judged_from_both_days_that_it_can_be_counted_from() -> None:
    views = told("build", "gigafactory", "--samples", "100")["reference_class"]
    counted = [
        (one["days"], round(one["p_on_time"], 2), one["from_first_works"]["days"],
         round(one["from_first_works"]["p_on_time"], 2))
        for one in views
    ]  # fmt: skip
    assert counted == [(485, 0.0, 516, 0.2), (485, 0.14, 516, 0.31)]


def test_the_same_seed_gives_the_same_answer() -> None:
    first, again, other = (told(*BUILD, "--seed", seed) for seed in ("3", "3", "4"))
    for one in (first, again, other):
        one.pop("wall_s")
    assert first == again
    assert first != other


def test_people_get_tables_that_list_what_is_assumed() -> None:
    ran = answered(*BUILD)
    for word in ("Phases", "outside view", "reconciled, 50% inside", "What decides the date",
                 "Alternatives", "Bill of gigafactory", "Back-test", "Assumptions", "tasks.site",
                 "Sources"):  # fmt: skip
        assert word in ran.out, word
    assert ran.err == ""


def test_the_page_stands_alone_with_three_plots(tmp_path: Path) -> None:
    answered(*BUILD, "--html", tmp_path / "build.html")
    page = (tmp_path / "build.html").read_text(encoding="utf-8")
    assert page.count("<svg ") == 3
    for word in ("Odds of being done", "whisker to P80", "What moves the end", "Assumptions"):
        assert word in page
    assert "src=" not in page
    assert "@import" not in page


def test_a_late_answer_is_exit_1_only_where_it_is_checked() -> None:
    late = ("build", "gigafactory", "--by", "2024-08-01", "--samples", "200")
    assert giga(*late).code == 0
    ran = giga(*late, "--check")
    assert ran.code == 1
    assert ran.err.startswith("giga: late: P50 is ")
    assert giga("build", "colossus-1", "--samples", "200", "--check").code == 0


def test_all_faults_of_a_file_are_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(BROKEN, encoding="utf-8")
    line = refused("build", file, "--by", "2025-05-01")
    for rule in (
        "site.toml",
        "tasks.a.duration", "days must be between 0 and 36525, got -3.0",
        "tasks.b.duration", "low_days <= mode_days <= high_days must hold, got (9.0, 5.0, 7.0)",
        "tasks.b.after: unknown task 'nobody'",
        "phases.0.when: unknown task 'nowhere'",
        "alternatives.power", "must hold at least one branch",
        "risks.rain", "probability must be between 0 and 1, got 1.5",
        "tasks: wait for one another in a cycle: ", " -> ",
        "by: must be after the start 2025-06-01, got 2025-05-01",
    ):  # fmt: skip
        assert rule in line, rule


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("build", "gigafactroy"), "nearest: gigafactory"),
        (("build", "gigafactory", "--by", "soon"), "--by must be a date"),
        (("build", "gigafactory", "--by", "2024-05-25"), "by: must be after the start 2024-05-25"),
        (("build", "gigafactory", "--samples", "0"), "--samples must be between 1 and"),
        (("build", "gigafactory", "--seed", "-1"), "--seed must not be negative"),
        (("build", "gigafactory", "--inside-weight", "2"), "--inside-weight must be between"),
        (("build", "nowhere.toml"), "cannot be read"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[str, ...], rule: str) -> None:
    assert rule in refused(*arguments)


def test_a_file_of_ones_own_without_a_bill_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "hall.toml"
    file.write_text(
        'schema = 1\nname = "hall"\ntitle = "Our hall"\nstart = 2026-01-01\n'
        'phases = [{ num_gpus = 1024, when = "racks" }]\n'
        '[tasks.racks]\nduration = { kind = "lognormal", mean_days = 90.0, sd_days = 30.0 }\n'
        '[source]\ndefault = "our plan"\n',
        encoding="utf-8",
    )
    assert "--by DATE is needed" in refused("build", file)
    found = told("build", file, "--by", "2026-06-30", "--samples", "2000")
    assert found["bill"] is None
    assert found["assumptions"] == [
        {"where": "tasks.racks", "what": "duration", "value": "lognormal, mean 90, sd 30"}
    ]
    assert len(found["reference_class"]) == 2  # it began before the data end


def test_the_site_of_the_manual_is_answered(tmp_path: Path) -> None:
    manual = Path(__file__).parents[2] / "docs" / "how-to" / "build.md"
    block = manual.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "my-site.toml").write_text(block, encoding="utf-8")
    found = told("build", "my-site.toml", "--samples", "2000")
    assert found["by"] == "2027-06-30"
    assert found["bill"]["num_gpus"] == 100_000
    assert "tasks.transformer" not in {one["where"] for one in found["assumptions"]}


def test_the_catalog_shows_projects_with_their_sources() -> None:
    assert "gigafactory" in told("catalog", "projects")["names"]
    shown = answered("catalog", "projects", "colossus-1").out
    assert "NVIDIA press release" in " ".join(shown.split())
    entry = told("catalog", "switches", "qm9700")["entry"]
    assert entry["ports"] == 64


PLAN: Final = ("plan", "llama-3.1-8b", "--gpu", "h100-sxm", "--gpus", "64", "--tokens", "2e12")
HALL: Final = """
schema = 1
name = "hall"
title = "Our hall"
start = 2026-01-01
site = "virginia"
phases = [{ num_gpus = 16, when = "first" }, { num_gpus = 64, when = "second" }]

[tasks.first]
duration = { kind = "triangular", low_days = 10.0, mode_days = 20.0, high_days = 40.0 }

[tasks.second]
duration = { kind = "triangular", low_days = 30.0, mode_days = 50.0, high_days = 90.0 }
after = ["first"]

[source]
default = "our plan"
"""


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    file = tmp_path / "hall.toml"
    file.write_text(HALL, encoding="utf-8")
    return file


def test_a_plan_on_a_site_under_construction_starts_small_and_grows(hall: Path) -> None:
    plan = told(*PLAN, "--site", hall, "--by", "2026-12-31")
    grown, built = plan["growth"], told("build", hall, "--by", "2026-12-31", "--samples", "20000")
    assert [one["num_gpus"] for one in grown["phases"]] == [16, 64]
    assert [one["date"] for one in grown["phases"]] == [one["date"] for one in built["phases"]]
    assert grown["start"] == built["phases"][0]["date"]
    assert grown["finish"]["p10"] < grown["finish"]["p50"] < grown["finish"]["p90"]
    assert grown["earliest"] <= grown["finish"]["p10"]
    assert grown["finish"]["p90"] <= grown["latest"]
    assert grown["finish"]["p50"] < grown["whole_machine"]
    assert sum(one["tokens"] for one in grown["phases"]) == pytest.approx(2e12)
    first, second = (one["tokens_per_s"] for one in grown["phases"])
    assert first < second
    assert plan["run"]["start"] == built["phases"][1]["date"]["p50"]  # the whole machine's
    span = dt.date.fromisoformat(built["phases"][1]["date"]["p50"]) - dt.date.fromisoformat(
        built["phases"][0]["date"]["p50"]
    )
    assert grown["phases"][0]["tokens"] == pytest.approx(first * span.days * 86_400)


def test_a_plan_without_a_building_site_has_no_growth() -> None:
    assert told(*PLAN, "--site", "virginia", "--start", "2026-01-01")["growth"] is None


def test_people_see_the_growth_of_a_plan(hall: Path) -> None:
    assert "Growth: train on what is there" in answered(*PLAN, "--site", hall).out


def test_a_site_that_outgrows_the_cluster_is_refused(hall: Path) -> None:
    small = ("plan", "llama-3.1-8b", "--gpu", "h100-sxm", "--gpus", "32", "--tokens", "2e12")
    assert "grows to 64 GPUs, the cluster has only 32" in refused(*small, "--site", hall)
    free = ("plan", "llama-3.1-8b", "--gpu", "h100-sxm", "--by", "2027-01-01", "--tokens", "2e12")
    assert "asks for a size" in refused(*free, "--site", hall)


def test_a_site_file_at_fault_is_told_by_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(BROKEN, encoding="utf-8")
    assert "in a cycle" in refused(*PLAN, "--site", file)


def test_shipped_projects_are_json_that_machines_read_back() -> None:
    for name in loader.names("projects"):
        entry = told("catalog", "projects", name)["entry"]
        assert json.loads(json.dumps(entry))["phases"]
