"""The demo's section `bill` names a month over the budget, a monitor that reads on a clock, and uncounted queries."""

from __future__ import annotations

from typing import Any

import pytest

from local.demo.bill import check


def _section(**changed: Any) -> dict[str, Any]:
    return {
        "queries": 90,
        "monitor_rounds": 11,
        "views_read": 30,
        "views_of_rounds": 77,
        "month_quiet_gib": 800,
        "month_bad_gib": 900,
        "budget_gib": 1024,
        **changed,
    }


def test_a_good_section_is_not_complained_about():
    assert check(_section()) == []


@pytest.mark.parametrize(("rounds", "read", "held"), [(11, 72, False), (3, 16, False), (3, 11, True), (1, 7, True)])
def test_a_monitor_that_reads_on_a_clock_is_named(rounds: int, read: int, held: bool):
    found = check(_section(monitor_rounds=rounds, views_read=read, views_of_rounds=7 * rounds))
    assert (found == []) is held
    assert held or found == [f"the monitor read {read} of {7 * rounds} views: nothing is carried"]


def test_a_month_over_the_budget_is_named():
    assert check(_section(month_bad_gib=1025)) == ["month_bad_gib is 1025 GiB of 1024"]


def test_tasks_whose_queries_are_not_in_their_logs_are_named():
    assert check(_section(queries=0)) == ["no query of a task was counted"]
