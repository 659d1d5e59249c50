"""`giga compare`: a run folder, logs of other engines, the page, the check."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.catalog import files
from tests.integration.test_cli_command import answered, giga, refused, told
from tests.made_run import begun, plan

SPANS = {"data": 0.1, "forward_backward": 1.3, "data_comm": 0.2, "optimizer": 0.1, "other": 0.05}


@pytest.fixture(autouse=True)
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = begun(Path("run"))
    made.steps(60, 1.75, spans_s=SPANS)
    made.crash(50, detect_s=20.0, restart_s=1.0, ready_s=7.0)
    made.steps(60, 1.75, spans_s=SPANS)
    made.finish()
    files.write_plan(plan(), "plan.toml")
    Path("run.log").write_text(
        "\n".join(
            f" iteration {n:8d}/     500 | elapsed time per iteration (ms): {3000 + n % 3} |"
            for n in range(1, 60)
        )
    )


def test_the_contract() -> None:
    found = told("compare", "run")
    assert found["schema"] == 1
    predicted, measured = found["predicted"]["step_time_s"], found["measured"]["step_time_s"]
    assert measured == pytest.approx(1.75)
    assert found["measured"]["interruptions"] == 1
    assert 0.0 < found["measured"]["goodput"] < 1.0
    assert found["relative_error"] == pytest.approx(predicted / measured - 1)
    for gap, seconds in (
        (found["explained_by"], measured - predicted),
        (found["wall"]["explained_by"],
         found["wall"]["measured_s_per_step"] - found["wall"]["predicted_s_per_step"]),
    ):  # fmt: skip
        assert sum(one["share_s"] for one in gap) == pytest.approx(seconds, abs=1e-9)
        assert [one["what"] for one in gap] == [
            "compute", "communication", "data", "checkpoint", "restart", "jitter", "other",
        ]  # fmt: skip


def test_people_get_both_gaps_and_where_the_time_went() -> None:
    shown = answered("compare", "run").out
    for words in ("Predicted and measured", "inside the plan's interval", "The step's difference",
                  "starts, outages and work done twice", "Where "):  # fmt: skip
        assert words in " ".join(shown.split())


def test_a_page_needs_nothing_from_elsewhere() -> None:
    answered("compare", "run", "--html", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg") == 1
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_log_beside_a_plan_is_checked() -> None:
    found = told("compare", "plan.toml", "--log", "run.log")
    assert (found["engine"], found["measured"]["goodput"], found["wall"]) == (
        "megatron",
        None,
        None,
    )
    ran = giga("compare", "plan.toml", "--log", "run.log", "--check")
    assert ran.code == 1
    assert "outside the plan's interval" in " ".join(ran.err.split())
    assert giga("compare", "run", "--check").code == 0


def test_what_cannot_be_compared_is_refused() -> None:
    Path("empty.log").write_text("nothing\n")
    assert "holds no step in a format known here" in refused(
        "compare", "plan.toml", "--log", "empty.log"
    )
    assert "must be a run folder" in refused("compare", "plan.toml")
    assert "cannot be read" in refused("compare", "plan.toml", "--log", "none.log")
    assert "cannot be written" in refused("compare", "run", "--html", "none/page.html")


TRACES = Path(__file__).parents[1] / "validation" / "data" / "straggler"


def test_a_recorded_run_tells_what_slows_it() -> None:
    found = told("compare", "--trace", TRACES / "trace-AR.csv.gz")
    assert found["cause"] == "workers"
    assert found["slowdown"] == pytest.approx(found["recorded_s"] / found["ideal_s"], rel=0.1)
    shown = answered("compare", "--trace", TRACES / "trace-ST.parquet").out
    assert "stage 3 has more to do than the others" in " ".join(shown.split())


def test_a_trace_stands_alone_and_something_must_be_named() -> None:
    assert "--trace stands alone" in refused("compare", "run", "--trace", "none.csv")
    assert "none.csv" in refused("compare", "--trace", "none.csv")
    assert "--trace" in refused("compare")
