"""30 healthy days give no false alarm; every class of broken day is seen, and how soon."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.replay import ALLOWANCES, fixed_rule, replay
from drawsguard.settings import REPOSITORY
from local.replays import BREAKS, HEALTHY_DAYS, HEALTHY_STARTS, broken_day, during, rule, tables

POLICY = load_alert_config().policy


@pytest.fixture(scope="module")
def healthy():
    return {start: tables(start, HEALTHY_DAYS) for start in HEALTHY_STARTS}


@pytest.mark.parametrize("table", ALLOWANCES)
def test_30_healthy_days_raise_no_alert(healthy, table: str) -> None:
    for start, newest in healthy.items():
        seen = replay(rule(newest, table), start, start + timedelta(days=HEALTHY_DAYS), POLICY)
        assert seen.alerts == 0, f"{table} from {start}: first at {seen.first_alert_at}"
        assert seen.firing_share <= 0.05
        assert seen.minutes == HEALTHY_DAYS * 1440


def test_the_fixed_limit_cries_wolf_on_the_same_days(healthy) -> None:
    fires = minutes = 0
    for start, newest in healthy.items():
        fixed = fixed_rule(newest["target.draws"])
        for minute in range(HEALTHY_DAYS * 1440):
            fires += fixed(start + timedelta(minutes=minute))
            minutes += 1
    assert 0.3 < fires / minutes < 0.7, f"fires on {fires / minutes:.0%} of the checks of healthy days"
    first = HEALTHY_STARTS[0]
    seen = replay(fixed_rule(healthy[first]["target.draws"]), first, first + timedelta(hours=3), POLICY)
    assert seen.alerts >= 1


@pytest.mark.parametrize(("what", "table", "length"), BREAKS)
def test_broken_days_are_seen_within_a_minute_of_being_visible(what: str, table: str, length: timedelta) -> None:
    detection = broken_day(what, table, length)
    assert detection.seen.alerts == 1
    assert detection.after_visible is not None
    assert detection.after_visible <= timedelta(minutes=1)
    limit = timedelta(seconds=ALLOWANCES[table] + 4 * 210 + 300)
    assert detection.after_break is not None
    assert detection.after_break <= limit


def test_outage_that_begins_in_maintenance_is_seen_after_it() -> None:
    begins = datetime(2025, 10, 21, 11, 10, tzinfo=UTC)  # maintenance is 11:00 to 12:00
    newest = tables(begins - timedelta(hours=12), 2, collector=during(begins, timedelta(hours=5)))
    seen = replay(rule(newest, "source.draws"), begins - timedelta(hours=2), begins + timedelta(hours=5), POLICY)
    assert seen.alerts == 1
    assert seen.first_alert_at is not None
    assert timedelta(minutes=50) < seen.first_alert_at - begins < timedelta(minutes=75)


def test_allowances_are_those_of_the_view() -> None:
    path = REPOSITORY / "include" / "sql" / "bigquery" / "schema" / "R__310_cloud_freshness_v.sql"
    found = re.findall(r"STRUCT\('([a-z0-9_.]+)' AS table_name, '\w+' AS stage, (\d+) AS allowance_seconds\)",
                       path.read_text(encoding="utf-8"))  # fmt: skip
    assert ALLOWANCES.items() <= {name: int(seconds) for name, seconds in found}.items()
