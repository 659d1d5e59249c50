"""Every second of any layout is charged to an operator and a resource, and none twice."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from gigafactory.plan.attribution import RESOURCES, operator_times
from gigafactory.plan.predict import predict
from tests.property.test_prediction import MACHINES, cases, machine

if TYPE_CHECKING:
    from gigafactory.plan.cases import Case


@settings(max_examples=60, deadline=None)
@given(cases(), MACHINES)
def test_operators_sum_to_the_step_and_to_each_of_its_parts(
    case: Case, on: tuple[str, str]
) -> None:
    place = machine(*on)
    promised, rows = predict(case, place), operator_times(case, place)
    step_s = promised.step_time_s.expected
    assert sum(row.exposed_s for row in rows) == pytest.approx(step_s, rel=1e-9)
    parts: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        parts[row.part] += row.exposed_s
    for part, seconds in asdict(promised.breakdown_s).items():
        assert parts[part] == pytest.approx(seconds, rel=1e-9, abs=1e-9 * step_s), part
    assert all(row.exposed_s >= 0 and row.hidden_s >= 0 for row in rows)
    assert {row.resource for row in rows} <= set(RESOURCES)
    names = [(row.operator, row.phase, row.resource, row.part) for row in rows]
    assert len(names) == len(set(names))


@settings(max_examples=30, deadline=None)
@given(cases(), MACHINES)
def test_no_rate_exceeds_what_the_data_sheet_promises(case: Case, on: tuple[str, str]) -> None:
    for row in operator_times(case, machine(*on)):
        if row.resource in {"matmul", "memory", "network"}:
            assert row.of_peak <= 1.0 + 1e-9, row
