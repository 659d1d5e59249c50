"""The plain formulas of a step keep their dimensions: pint quantities go in, right units come out.

Formulas that choose with `numpy.where` between a quantity and nought are left to their unit tests.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pint
import pytest

from gigafactory.cost import operators as op
from gigafactory.cost.columns import Shape
from gigafactory.cost.memory import mlp_activation_bytes
from gigafactory.cost.optimizer import owned_share
from gigafactory.cost.pipeline import pipeline_time_s
from gigafactory.cost.step import exposed_under
from gigafactory.spec.software import Features

u: Any = pint.UnitRegistry()
BANDWIDTH: Any = 3e12 * u.byte / u.s
SHAPE_OF = dict.fromkeys(Shape.__dataclass_fields__, 1.0) | {
    "hidden": 4096.0, "vocab": 32000.0, "seq": 2048.0, "gated": 1.0, "tp": 2.0,
}  # fmt: skip
SHAPE: Any = Shape(**SHAPE_OF)


def is_a(quantity: Any, unit: str) -> bool:
    return bool(u.Quantity(quantity).check(u.parse_units(unit).dimensionality))


def rates(**more: Any) -> Any:
    # Bytes per element are what gives elements their unit of traffic.
    given: dict[str, Any] = {
        "memory_bytes_per_s": BANDWIDTH, "elementwise": 1.0 * u.byte, "features": Features(),
        "activation_bytes": 2.0,
    }  # fmt: skip
    return SimpleNamespace(**given | more)


def test_owned_shares_have_no_dimension() -> None:
    assert is_a(owned_share(1.0, 8.0, 8.0), "")


def test_a_pipeline_of_times_takes_a_time_whatever_their_units() -> None:
    mixed: Any = pipeline_time_s(1000 * u.ms, 1 * u.s, 4, 2, 8)
    assert is_a(mixed, "s")
    assert mixed.to("s").magnitude == pytest.approx(float(pipeline_time_s(1.0, 1.0, 4, 2, 8)))


def test_what_is_exposed_of_a_transfer_is_a_time() -> None:
    left: Any = exposed_under(5 * u.s, 2000 * u.ms, 0.1, overlap=True)
    assert is_a(left, "s")
    assert left.to("s").magnitude == pytest.approx(3.2)


def test_element_wise_traffic_over_bandwidth_is_a_time() -> None:
    seconds = op.activation_time_s(SHAPE, 2048.0, 4096.0, rates())
    assert is_a(seconds.forward, "s")
    assert is_a(seconds.backward, "s")


def test_the_loss_is_a_time() -> None:
    assert is_a(op.loss_time_s(SHAPE, rates(cross_entropy=10 * u.byte)), "s")


def test_activation_bytes_grow_with_tokens_and_width_and_shrink_with_ranks() -> None:
    per_token: Any = mlp_activation_bytes(SHAPE, 1.0 * u.byte, rates(saved_bytes=2.0))
    assert is_a(per_token, "byte")
    assert per_token.magnitude == pytest.approx(2.0 * 2048 * 3 / 2)


def test_a_wrong_dimension_is_noticed() -> None:
    wrong = op.loss_time_s(SHAPE, rates(cross_entropy=10 * u.byte, memory_bytes_per_s=1 * u.byte))
    assert not is_a(wrong, "s")
