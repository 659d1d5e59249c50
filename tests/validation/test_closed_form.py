"""The closed form of the pipeline against its replay, on every published run with a pipeline."""

from __future__ import annotations

import csv

import pytest

from gigafactory.catalog import loader, machines
from gigafactory.plan.predict import predict
from gigafactory.plan.rows import Row, parse_row
from gigafactory.plan.timeline import replayed_step_s

CLOSED_FORM_ERROR = 0.01


def pipelined() -> list[tuple[str, Row]]:
    with (loader.DATA / "published" / "runs.csv").open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.DictReader(source) if row["pp"] not in {"", "1"} and row["vpp"]]
    return [(row["id"], parse_row(row, machines.known_model)) for row in rows]


def test_the_closed_form_is_within_one_per_cent_of_the_replay_for_published_runs() -> None:
    runs = pipelined()
    assert len(runs) > 200
    for name, row in runs[::5]:
        machine = machines.machine_of_row(*row.machine)
        closed_s = predict(row.cases[0], machine).step_time_s.expected
        replayed_s = replayed_step_s(row.cases[0], machine)
        assert closed_s == pytest.approx(replayed_s, rel=CLOSED_FORM_ERROR), name
