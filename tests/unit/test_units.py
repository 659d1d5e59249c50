from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.errors import (
    CatalogError,
    DoesNotFit,
    GigafactoryError,
    MissingExtra,
    SpecError,
)
from gigafactory.units import parse, show

LIKE_A_QUANTITY = r"[-+]?[0-9_.]{1,4}(e[-+]?[0-9])? ?[kKMGTPE]?i?[bBWhs/]{0,3}"


@pytest.mark.parametrize(
    ("text", "si"),
    [
        ("400Gb/s", 5e10),
        ("400 Gb/s", 5e10),
        ("3.35TB/s", 3.35e12),
        ("800Gbps", 1e11),
        ("80GB", 8e10),
        ("80GiB", 80 * 2**30),
        ("2EiB", 2**61),
        ("150MW", 1.5e8),
        ("2kWh", 7.2e6),
        ("90s", 90.0),
        ("15e12", 15e12),
        ("15T", 15e12),
        ("1_000", 1000.0),
        (".5M", 5e5),
        ("-3", -3.0),
        (" 7 ", 7.0),
    ],
)
def test_a_quantity_becomes_its_si_value(text: str, si: float) -> None:
    assert parse(text) == si


@pytest.mark.parametrize(
    "text",
    [
        "", "GB", "80 apples", "nan", "inf", "1e999", "1e308G", "4 00", "80GB/day", "--1", "1.2.3",
        "5kiB", "1__0B", "1_",
    ],
)  # fmt: skip
def test_what_is_no_quantity_is_a_spec_error_that_shows_the_text(text: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(text)
    assert repr(text) in str(error.value)


@given(st.from_regex(LIKE_A_QUANTITY, fullmatch=True) | st.text())
def test_any_text_is_a_finite_number_or_a_spec_error(text: str) -> None:
    try:
        value = parse(text)
    except SpecError:
        return
    assert abs(value) < float("inf")


@given(st.floats(min_value=1.0, max_value=9e20), st.sampled_from(["B", "W", "B/s", "FLOP/s"]))
def test_what_is_shown_can_be_parsed_again(value: float, unit: str) -> None:
    assert parse(show(value, unit, digits=6)) == pytest.approx(value, rel=5e-6)


@given(st.floats(min_value=1.0, max_value=9.99e20), st.integers(min_value=3, max_value=6))
def test_a_shown_number_has_one_to_three_digits_before_the_point(value: float, digits: int) -> None:
    number = show(value, "W", digits).split()[0]
    assert "e" not in number
    assert 1 <= float(number) < 1000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "W", "0 W"),
        (-2.5e6, "W", "-2.5 MW"),
        (999_960.0, "W", "1 MW"),
        (999.4, "B", "999 B"),
        (1e5, "", "100 k"),
        (42.0, "", "42"),
        (0.0125, "s", "12.5 ms"),
        (3e-5, "s", "30 µs"),
        (7.0, "s", "7 s"),
    ],
)
def test_a_value_is_shown_with_the_prefix_people_use(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


def test_a_spec_error_is_a_value_error_and_remembers_its_field() -> None:
    error = SpecError("layout: tensor_parallel must be a whole number", field="tensor_parallel")
    assert isinstance(error, ValueError)
    assert error.field == "tensor_parallel"
    assert SpecError("no field").field == ""


@pytest.mark.parametrize("kind", [SpecError, CatalogError, DoesNotFit, MissingExtra])
def test_one_except_clause_catches_every_expected_failure(kind: type[GigafactoryError]) -> None:
    with pytest.raises(GigafactoryError, match="what is wrong"):
        raise kind("what is wrong")


def test_only_the_users_mistakes_are_value_errors() -> None:
    assert issubclass(CatalogError, SpecError)
    assert not issubclass(DoesNotFit, ValueError)
    assert not issubclass(MissingExtra, ValueError)
