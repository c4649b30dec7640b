"""Every check on simulated days: none cries wolf on 30 healthy days, and each class of fault is found, by one alert."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.replay import STALE_DRAWS
from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import REPOSITORY, get_settings
from local.replayed_checks import FAULT_AT, FAULTS, TABLES, Fault, Pipeline, Steps, find, replay_checks, stale_from
from local.replays import HEALTHY_DAYS, HEALTHY_STARTS


@pytest.mark.parametrize("start", HEALTHY_STARTS)
def test_no_check_fires_on_healthy_days(start) -> None:
    seen = replay_checks(Pipeline(start, HEALTHY_DAYS), start, start + timedelta(days=HEALTHY_DAYS))
    assert seen.minutes == HEALTHY_DAYS * 1440
    assert seen.fired == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_each_fault_is_found_within_a_minute_and_announced_once(fault: Fault) -> None:
    finding = find(fault)
    assert finding.alert_key is not None, f"fired instead: {sorted(finding.seen.fired)}"
    assert finding.detect_seconds is not None
    assert 0 <= finding.detect_seconds <= 60
    check = load_checks().of_key(finding.alert_key)
    assert check is not None
    if check.priority is Priority.P2:
        assert finding.seen.announced == {}, "P2 waits for the digest"
        return
    assert list(finding.seen.announced) == [finding.alert_key], "one alert for one cause"
    told_after = finding.seen.announced[finding.alert_key] - finding.seen.fired[finding.alert_key]
    assert told_after <= timedelta(minutes=15 if check.priority is Priority.P1 else 0)


def test_each_check_has_a_fault_that_it_finds() -> None:
    expected = {fault.expected.split(":")[1] for fault in FAULTS}
    assert expected == {check.name for check in load_checks().checks}


def test_a_fault_that_passes_soon_raises_nothing() -> None:
    seen = find(Fault("collector stopped", timedelta(minutes=8), "check:draws_are_collected_in_time:")).seen
    assert seen.fired == {}


def test_a_silent_monitor_judges_nothing_and_reports_when_it_is_back() -> None:
    (fault,) = (one for one in FAULTS if one.what == "monitor stopped")
    seen = find(fault).seen
    assert seen.minutes == (3 * 60 + 30) - 30
    assert seen.fired[fault.expected] == FAULT_AT + fault.length


def test_draws_overdue_are_those_of_the_view() -> None:
    cadence = Cadence.from_settings(get_settings())
    for n in range(300):
        last = HEALTHY_STARTS[0] + n * timedelta(minutes=53)
        stale = stale_from(cadence, last)
        assert cadence.overdue_draws(last, stale) >= STALE_DRAWS
        assert cadence.overdue_draws(last, stale - timedelta(seconds=1)) < STALE_DRAWS


def test_allowances_are_those_of_the_view() -> None:
    path = REPOSITORY / "include" / "sql" / "bigquery" / "schema" / "R__310_cloud_freshness_v.sql"
    found = re.findall(r"STRUCT\('([a-z0-9_.]+)' AS table_name, '\w+' AS stage, (\d+) AS allowance_seconds\)",
                       path.read_text(encoding="utf-8"))  # fmt: skip
    assert {name: int(seconds) for name, seconds in found} == TABLES


def test_steps_add_up() -> None:
    steps = Steps([(FAULT_AT, 2), (FAULT_AT + timedelta(minutes=1), -1)])
    moments = (FAULT_AT - timedelta(seconds=1), FAULT_AT, FAULT_AT + timedelta(hours=1))
    assert [steps.at(moment) for moment in moments] == [0, 2, 1]
    assert load_alert_config().policy.aftermath > timedelta(minutes=5), "a sync has to follow its collector"
