"""What the monitor carries over is what reading every view in every round would say, on quiet and on broken days."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from drawsguard.monitoring.carried import LONGEST_FAILING, LONGEST_LACKING, Carried, Carrier, as_text, load
from drawsguard.monitoring.checks import judge, load_checks
from drawsguard.monitoring.news import ServiceError, TableName
from tests.watched_day import IDENTITY_LOG, MINUTE, SERVICES, SLOT, SYNC_LOG, Faults, Stored, WatchedDay, played

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
    "rare calls fail": (3, "services_answer_without_errors"),
    "identity broken": (1, "identities_pass"),
    "identity checks stopped": (1, "identities_pass"),
    "monitor stopped": (1, "monitor_runs_every_minute"),
}

Failing = frozenset[tuple[str, str]]
Ahead = Callable[[datetime], timedelta]


def in_step(_moment: datetime) -> timedelta:
    return timedelta()


def failing(rows: Mapping[str, Any]) -> Failing:
    return frozenset(
        (check.name, outcome.subject)
        for check in CHECKS.checks
        for outcome in judge(check, rows[check.view])
        if outcome.status == "fail"
    )


def play(day: WatchedDay, hours: int, ahead: Ahead = in_step) -> list[tuple[datetime, Failing, Failing]]:
    """Return for each round what is wrong by the views, and what is by the carried answers."""
    found = []

    def compare(carried: Mapping[str, Any]) -> None:
        shown = {view: day.view(view, columns) for view, columns in VIEWS.items()}
        truth = {view: [{name: str(value) if name == "beijing_day" else value for name, value in row.items()}
                        for row in rows] for view, rows in shown.items()}  # fmt: skip
        found.append((day.now, failing(truth), failing(carried)))

    played(day, CHECKS, hours, compare, ahead)
    return found


def hidden(found: list[tuple[datetime, Failing, Failing]]) -> list[tuple[datetime, Failing]]:
    """Return the rounds in which something is wrong by the views, and not by the carried answers."""
    return [(at, truth - carried) for at, truth, carried in found if truth - carried]


def test_quiet_days_read_little_and_raise_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    day = WatchedDay(START, 1, Faults(START, START))
    found = play(day, 8)
    assert not caplog.records, "every look can say something"
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
    assert hidden(found) == []
    assert any(name == check for _, truth, _ in found for name, _ in truth), "the fault is no fault by the views"
    lingering: dict[tuple[str, str], int] = {}
    for _, truth, carried in found:
        for key in carried - truth:
            lingering[key] = lingering.get(key, 0) + 1
    assert all(minutes <= 2 * LONGEST_FAILING / MINUTE for minutes in lingering.values()), lingering


@pytest.mark.parametrize(
    ("what", "ahead"),
    [
        ("collector stopped", timedelta(seconds=60)),
        ("scheduler refused", timedelta(minutes=30)),
        ("identity checks stopped", timedelta(minutes=20)),
        ("sync log stopped", timedelta(minutes=30)),
        ("draws lost in sync", timedelta(minutes=30)),
    ],
)
def test_a_worker_whose_clock_is_ahead_sees_a_fault_as_soon(what: str, ahead: timedelta) -> None:
    found = play(WatchedDay(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=3), what)), 5, lambda _: ahead)
    assert hidden(found) == []
    assert any(FAULTS[what][1] == name for _, truth, _ in found for name, _ in truth)


@pytest.mark.parametrize("what", ["collector stopped", "scheduler refused", "identity checks stopped"])
def test_a_worker_whose_clock_is_behind_sees_a_fault_minutes_later(what: str) -> None:
    """At the latest when anything is stored after it: BigQuery says when that was."""
    day = WatchedDay(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=3), what))
    found = play(day, 5, lambda _: -timedelta(minutes=30))
    late: dict[tuple[str, str], int] = {}
    for _, missed in hidden(found):
        for key in missed:
            late[key] = late.get(key, 0) + 1
    assert all(minutes <= 6 for minutes in late.values()), late


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(days=1)])
@pytest.mark.parametrize("what", ["scheduler refused", "identity checks stopped"])
def test_one_round_of_a_wrong_clock_hides_nothing(what: str, ahead: timedelta) -> None:
    wrong = START + timedelta(minutes=40)
    found = play(
        WatchedDay(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=7), what)),
        9,
        lambda moment: ahead if wrong <= moment < wrong + MINUTE else timedelta(),
    )
    assert hidden(found) == []


class ResultsToCome(WatchedDay):
    """Shortly before the fault, one run of the sync and one of the identity checks have a clock that is hours ahead."""

    def _fill(self) -> None:
        super()._fill()
        came, stamped = FAULT_AT - timedelta(minutes=3), FAULT_AT + timedelta(hours=8)
        self._store(SYNC_LOG, came, finished_at=stamped, interval_start=FAULT_AT - SLOT, dag_id="draw_sync",
                    mode="interval", status="success")  # fmt: skip
        for service in SERVICES:
            for number in range(1, 8):
                result = {"service": service.name, "check_number": number, "checked_at": stamped}
                self._store(IDENTITY_LOG, came, status="pass", **result)

    # The views leave out what is stamped with a time to come.
    def _passed_by(self, table: TableName, column: str) -> list[Stored]:
        return [one for one in self.tables[table] if one.values[column] <= self.now]

    def sync_success_rate_v(self) -> list[dict[str, Any]]:
        with mock.patch.dict(self.tables, {SYNC_LOG: self._passed_by(SYNC_LOG, "finished_at")}):
            return super().sync_success_rate_v()

    def identity_service_v(self) -> list[dict[str, Any]]:
        known = self._passed_by(IDENTITY_LOG, "checked_at")
        came = {IDENTITY_LOG: sorted(one.since for one in known)}
        with mock.patch.dict(self.tables, {IDENTITY_LOG: known}), mock.patch.dict(self._came, came):
            return super().identity_service_v()


@pytest.mark.parametrize("what", ["identity broken", "identity checks stopped", "sync log stopped"])
def test_what_is_stamped_with_a_time_to_come_hides_no_fault(what: str) -> None:
    found = play(ResultsToCome(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=2), what)), 4)
    assert hidden(found) == []
    assert any(FAULTS[what][1] == name for _, truth, _ in found for name, _ in truth)


class FeaturesStoppedBefore(WatchedDay):
    """The collector stops at 03:00, while features have been stopped since 01:00."""

    def _fill(self) -> None:
        super()._fill()
        stop, end = self.start + timedelta(hours=3), self.start + timedelta(hours=6)
        for table in (("source", "draws"), ("target", "draws")):
            for one in self.tables[table]:
                if stop <= one.since < end:
                    one.since = end + timedelta(seconds=20)


@pytest.mark.parametrize("seconds", [0, 5, 30, 60])
def test_what_fails_already_hides_no_second_fault_of_the_same_view(seconds: int) -> None:
    faults = Faults(FAULT_AT, FAULT_AT + timedelta(hours=7), "features stopped")
    found = play(FeaturesStoppedBefore(START, 1, faults), 6, lambda _: timedelta(seconds=seconds))
    assert hidden(found) == []
    assert any(("draws_are_collected_in_time", "source.draws") in truth for _, truth, _ in found)


def test_a_service_that_the_view_comes_to_know_is_seen_within_minutes() -> None:
    class LateSchema(WatchedDay):
        def identity_service_v(self) -> list[dict[str, Any]]:
            rows = super().identity_service_v()
            return rows if self.now >= FAULT_AT else rows[:-1]

    found = play(LateSchema(START, 1, Faults(START, START)), 2)
    lingering = [at for at, truth, carried in found if carried - truth and at >= FAULT_AT]
    assert max(lingering, default=FAULT_AT) < FAULT_AT + LONGEST_LACKING


class Neighbour(WatchedDay):
    """Another service of the project, which the view does not know, errs four times a minute."""

    def service_errors(self, since: datetime, services: frozenset[str]) -> dict[str, ServiceError]:
        calls = [self.now - n * MINUTE / 4 for n in range(4 * 24 * 60)]
        others = {f"other-{at.isoformat()}": ServiceError("somebody-elses", at) for at in calls if at >= since}
        asked = {name: error for name, error in others.items() if error.service in services}
        return asked | dict(super().service_errors(since, services))


def test_errors_of_a_service_that_the_view_does_not_know_are_no_reason_to_read_it() -> None:
    quiet, day = (kind(START, 1, Faults(START, START)) for kind in (WatchedDay, Neighbour))
    assert hidden(play(day, 4)) == []
    play(quiet, 4)
    assert day.reads["cloudrun_invocation_v"] == quiet.reads["cloudrun_invocation_v"]
    failing = Neighbour(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=1), "service errors"))
    assert hidden(play(failing, 3)) == []


@pytest.mark.parametrize("minutes", [8, 10, 12])
def test_errors_that_fail_no_check_are_no_reason_to_read_their_view_all_the_time(minutes: int) -> None:
    class NowAndThen(WatchedDay):
        def _fill(self) -> None:
            super()._fill()
            times = [START + n * minutes * MINUTE for n in range(-1440 // minutes, 1440 // minutes)]
            self.errors = [(f"error {at.isoformat()}", "collector", at + timedelta(seconds=7)) for at in times]

    day = NowAndThen(START, 1, Faults(START, START))
    found = play(day, 6)
    assert all("services_answer_without_errors" not in dict(truth) for _, truth, _ in found)
    assert hidden(found) == []
    assert day.reads["cloudrun_invocation_v"] <= 50


class OldHistory(WatchedDay):
    """At 01:00 a draw of five days ago is collected, and never synced: it is overdue an hour later."""

    came = FAULT_AT - timedelta(seconds=30)
    drawn = START - timedelta(days=4, hours=12)

    def rows(self, table: Any) -> int:
        return super().rows(table) + (table == ("source", "draws") and self.now >= self.came)

    def changed_at(self, table: Any) -> datetime:
        changed = super().changed_at(table)
        return max(changed, self.came) if table == ("source", "draws") and self.now >= self.came else changed

    def of_day(self, table: Any, day: date, columns: Mapping[str, str]) -> list[Mapping[str, Any]]:
        rows = list(super().of_day(table, day, columns))
        if table == ("source", "draws") and day == self.drawn.date() and self.now >= self.came:
            row = {"period": 1, "timestamp": self.drawn, "ingested_at": self.came, "numbers": [1, 2, 3]}
            rows.append({name: row[name] for name in columns})
        return rows

    def collection_quality_v(self) -> list[dict[str, Any]]:
        rows = super().collection_quality_v()
        for row in rows:
            if row["beijing_day"] == self.drawn.date():
                row["unsynced_periods"] += self.now >= self.came + timedelta(hours=1)
        return rows


def test_older_history_that_is_not_synced_is_seen_when_it_is_overdue() -> None:
    day = OldHistory(START, 1, Faults(START, START))
    found = play(day, 4)
    assert hidden(found) == []
    assert any(name == "collected_draws_reach_the_business_table" for _, truth, _ in found for name, _ in truth)
    assert day.reads["collection_quality_v"] <= 12


def test_what_was_carried_is_lost_or_unreadable() -> None:
    assert load(None) == load("no JSON") == load('{"answers": {"v": {}}}') == Carried()
    assert load('{"form": 1, "round_at": null, "answers": {}}') == Carried(), "another version's"


def two_rounds(day: WatchedDay, view: str, change: Callable[[dict[str, Any]], None], **needed: Any) -> Carrier:
    """Read a view, change what was carried, and make another round with the columns that are needed by then."""
    surroundings = {"cadence": day.cadence, "timezone": ZoneInfo("Asia/Shanghai")}
    day.now = START
    carrier = Carrier(CHECKS, day, day.read, surroundings, Carried(), lambda: day.now)
    carrier.answer(view, VIEWS[view])
    kept = json.loads(as_text(carrier.left))
    change(kept["answers"][view])
    day.now = START + MINUTE
    left, checks = load(json.dumps(kept)), needed.get("checks", CHECKS)
    carrier = Carrier(checks, day, day.read, surroundings, left, lambda: day.now)
    carrier.answer(view, needed.get("columns", VIEWS[view]))
    return carrier


def test_a_view_is_read_when_a_new_version_needs_another_column() -> None:
    changed = CHECKS.model_copy(
        update={
            "checks": (
                *CHECKS.checks,
                CHECKS.checks[-1].model_copy(
                    update={
                        "name": "new",
                        "view": "identity_service_v",
                        "subject": "service_name",
                        "expected": (),
                        "where": {},
                        "column": "passing_checks",
                    }
                ),
            )
        }
    )

    class NewColumn(WatchedDay):
        def identity_service_v(self) -> list[dict[str, Any]]:
            return [row | {"passing_checks": 7} for row in super().identity_service_v()]

    day = NewColumn(START, 1, Faults(START, START))
    view = "identity_service_v"
    assert two_rounds(day, view, lambda _: None).read == []
    wanted = changed.views()[view]
    assert two_rounds(day, view, lambda _: None, checks=changed, columns=wanted).read == [view]


def test_a_look_that_fails_stops_no_round(caplog: pytest.LogCaptureFixture) -> None:
    def forget(answer: dict[str, Any]) -> None:
        answer["note"] = {"first_day": "2025-10-19"}
        answer["again"] = START.isoformat()

    day = WatchedDay(START, 1, Faults(START, START))
    assert two_rounds(day, "collection_quality_v", forget).read == ["collection_quality_v"]
    assert "The look at collection_quality_v failed" in caplog.text


def test_only_what_is_judged_is_carried() -> None:
    class Long(WatchedDay):
        def scheduler_execution_v(self) -> list[dict[str, Any]]:
            latest = super().scheduler_execution_v()
            return [*latest, *({**row, "is_latest": False} for row in latest for _ in range(1000))]

    day = Long(START, 1, Faults(START, START))
    assert len(two_rounds(day, "scheduler_execution_v", lambda _: None).left.answers["scheduler_execution_v"].rows) == 4


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
            CHECKS, day, lambda view, columns: day.view(view, columns), surroundings, load(left), lambda: day.now,
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


def test_how_far_tables_are_behind_is_told_of_each_round() -> None:
    """From the listed rows: carried rows would say for an hour what was true when they were read."""
    day = WatchedDay(START, 1, Faults(FAULT_AT, FAULT_AT + timedelta(hours=2), "collector stopped"))
    told = []
    for n in range(60, 130):
        day.now = START + n * MINUTE
        carrier = Carrier(CHECKS, day, day.read, {"cadence": day.cadence}, Carried(), lambda: day.now)
        stored = [one.values["timestamp"] for one in day.tables["source", "draws"] if one.since <= day.now]
        told.append(carrier.behind()["source.draws"])
        assert told[-1] == day.cadence.overdue_draws(max(stored), day.now, timedelta(seconds=180))
    assert (told[0], told[-1]) == (0, 19)
