"""What the monitor carries over is what reading every view in every round would say, on quiet and on broken days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drawsguard.monitoring.carried import LONGEST_FAILING, Carried, Carrier, as_text, load
from drawsguard.monitoring.checks import judge, load_checks
from tests.watched_day import MINUTE, Faults, WatchedDay, played

START = datetime(2025, 10, 21, tzinfo=UTC)
FAULT_AT = START + timedelta(hours=1)
CHECKS = load_checks()
VIEWS = CHECKS.views()

FAULTS = {
    "collector stopped": (2, "draws_are_collected_in_time"),
    "sync stopped": (2, "draws_are_synced_in_time"),
    "features stopped": (2, "features_are_refreshed_in_time"),
    "draws lost in collection": (1, "collection_has_no_holes"),
    "draws lost in sync": (1, "collected_draws_reach_the_business_table"),
    "draws deleted": (1, "collection_has_no_holes"),
    "feed contradicts itself": (3, "draws_do_not_contradict_each_other"),
    "feed malformed": (4, "feed_rows_are_valid"),
    "sync fails now and then": (3, "sync_intervals_succeed"),
    "sync log stopped": (1, "sync_ran_lately"),
    "scheduler refused": (1, "scheduler_jobs_succeed"),
    "service errors": (1, "services_answer_without_errors"),
    "identity broken": (1, "identities_pass"),
    "identity checks stopped": (1, "identities_pass"),
    "monitor stopped": (1, "monitor_runs_every_minute"),
}

Failing = frozenset[tuple[str, str]]


def failing(rows: Mapping[str, Any]) -> Failing:
    return frozenset(
        (check.name, outcome.subject)
        for check in CHECKS.checks
        for outcome in judge(check, rows[check.view])
        if outcome.status == "fail"
    )


def play(day: WatchedDay, hours: int) -> list[tuple[datetime, Failing, Failing]]:
    """Return for each round what is wrong by the views, and what is by the carried answers."""
    found = []

    def compare(carried: Mapping[str, Any]) -> None:
        shown = {view: day.view(view, columns) for view, columns in VIEWS.items()}
        truth = {view: [{name: str(value) if name == "beijing_day" else value for name, value in row.items()}
                        for row in rows] for view, rows in shown.items()}  # fmt: skip
        found.append((day.now, failing(truth), failing(carried)))

    played(day, CHECKS, hours, compare)
    return found


def test_quiet_days_read_little_and_raise_no_alarm() -> None:
    day = WatchedDay(START, 1, Faults(START, START))
    found = play(day, 8)
    assert [carried - truth for _, truth, carried in found[5:] if carried - truth] == []
    assert [truth - carried for _, truth, carried in found if truth - carried] == []
    reads = day.reads
    assert reads["cloud_freshness_v"] <= 4
    assert reads["collection_quality_v"] <= 8
    assert reads["sync_success_rate_v"] <= 4
    assert reads["identity_service_v"] <= 4
    assert reads["monitor_heartbeat_v"] <= 4
    assert reads["scheduler_execution_v"] <= 110
    assert reads["cloudrun_invocation_v"] <= 80


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_seen_in_the_same_round_as_by_reading_everything(what: str) -> None:
    hours, check = FAULTS[what]
    end = FAULT_AT + timedelta(hours=hours)
    found = play(WatchedDay(START, 1, Faults(FAULT_AT, end, what)), hours + 3)
    late = [(at, truth - carried) for at, truth, carried in found if truth - carried]
    assert late == []
    assert any(name == check for _, truth, _ in found for name, _ in truth), "the fault is no fault by the views"
    lingering: dict[tuple[str, str], int] = {}
    for _, truth, carried in found:
        for key in carried - truth:
            lingering[key] = lingering.get(key, 0) + 1
    assert all(minutes <= 2 * LONGEST_FAILING / MINUTE for minutes in lingering.values()), lingering


def test_what_was_carried_is_lost_or_unreadable() -> None:
    assert load(None) == load("no JSON") == load('{"answers": {"v": {}}}') == Carried()


def test_a_bad_month_still_reads_little() -> None:
    """An outage of nine hours, and corrections every hour."""
    faults = Faults(FAULT_AT, FAULT_AT + timedelta(hours=9), "sync stopped")
    day = WatchedDay(START, 1, faults, corrections_an_hour=1.2)
    played(day, CHECKS, 11, lambda _: None)
    assert sum(day.reads.values()) <= 400, day.reads


def test_a_view_is_read_when_its_evidence_cannot_be_had() -> None:
    class Refusing(WatchedDay):
        def changed_at(self, table: Any) -> datetime:
            raise ConnectionError(f"no metadata of {table}")

    day = Refusing(START, 1, Faults(START, START))
    surroundings = {"cadence": day.cadence, "timezone": ZoneInfo("Asia/Shanghai")}
    read = []
    left = as_text(Carried())
    for n in range(3):
        day.now = START + n * MINUTE
        carrier = Carrier(
            CHECKS, day, lambda view, columns: day.view(view, columns), surroundings, load(left), day.now,
            (ConnectionError,),
        )  # fmt: skip
        carrier.answer("cloud_freshness_v", VIEWS["cloud_freshness_v"])
        left = as_text(carrier.left)
        read += carrier.read
    assert read == ["cloud_freshness_v"] * 3


def test_a_reading_is_not_kept_for_longer_than_stated() -> None:
    day = WatchedDay(START, 1, Faults(START, START))
    played(day, CHECKS, 13, lambda _: None)
    assert day.reads["identity_service_v"] == 3
