"""The outside view by hand, and two views as one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from gigafactory.build.forecast import pooled
from gigafactory.build.reference_class import Survival, survival
from gigafactory.catalog.observed import ObservedSite
from gigafactory.errors import SpecError

DAY = dt.date(2020, 1, 1)


def site(name: str, days: int, began: dt.date = DAY) -> ObservedSite:
    return ObservedSite(
        name=name, began=began, operational=began + dt.timedelta(days=days),
        first_capacity_w=1e8, source="made",
    )  # fmt: skip


def after(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


def test_without_unfinished_sites_the_odds_are_the_shares_done() -> None:
    view = survival([site(str(d), d) for d in (100, 200, 300, 400)], after(1000))
    assert view.days == (100, 200, 300, 400)
    assert view.done == pytest.approx((0.25, 0.5, 0.75, 1.0))
    assert (view.n, view.censored) == (4, 0)
    assert view.quantile(0.5) == 200


def test_an_unfinished_site_counts_at_risk_until_it_was_last_seen() -> None:
    sites = [site("a", 100), site("b", 900, after(100)), site("c", 300)]
    view = survival(sites, after(400))  # b was seen unfinished on its day 300
    assert view.done == pytest.approx((1 / 3, 1 / 3 + 2 / 3 * 1 / 2))
    assert view.censored == 1
    assert view.quantile(0.9) is None


def test_two_sites_done_on_one_day_count_together() -> None:
    view = survival([site("a", 100), site("b", 100), site("c", 200)], after(400))
    assert view.done == pytest.approx((2 / 3, 1.0))


def test_a_site_not_begun_is_not_known() -> None:
    assert survival([site("a", 10, after(50))], after(20)).n == 0


OUTSIDE = Survival(as_of=DAY, days=(100.0, 300.0), done=(0.25, 0.5), n=4, censored=2)


def test_the_pool_is_the_weighted_mean_of_both_odds() -> None:
    inside = np.array([50.0, 150.0, 250.0, 350.0])
    pool = pooled(inside, OUTSIDE, 0.6)
    for days in (0.0, 75.0, 100.0, 200.0, 300.0, 1000.0):
        exact = 0.6 * float((inside <= days).mean()) + 0.4 * OUTSIDE.p_done(days)
        assert pool.p_done(days) == pytest.approx(exact)
    assert pool.quantile(0.15) == 50.0
    assert pool.quantile(0.95) is None  # the outside view has not seen 60 % done


def test_without_an_outside_view_the_inside_view_stands_alone_and_says_so() -> None:
    nothing = Survival(as_of=DAY, days=(), done=(), n=0, censored=0)
    pool = pooled(np.array([10.0, 20.0]), nothing)
    assert pool.inside_weight == 1.0
    assert pool.p_done(10.0) == 0.5


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(SpecError, match="inside-weight must be between 0 and 1"):
        pooled(np.array([1.0]), OUTSIDE, weight)
