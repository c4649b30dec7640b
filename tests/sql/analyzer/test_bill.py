"""What a month of all schedules is billed for, against BigQuery's free tier.

The model is `tests.sql.analyzer.ordinary` times the runs of the schedules, billed by `drawsguard.warehouse.bill` at the
sizes of `tests.sql.analyzer.holdings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from drawsguard.monitoring.checks import load_checks
from drawsguard.warehouse.bill import GIB, Reading, billed_bytes, load_shares, readings
from tests.sql.analyzer import drives, ordinary
from tests.sql.analyzer.holdings import Holdings
from tests.sql.analyzer.ordinary import MONTH_DAYS, ORDINARY, OUTAGE_HOURS, OUTAGES, Ordinary, record, times_a_month
from tests.sql.analyzer.recording import Sent
from tests.watched_day import Faults, WatchedDay, played

#: BigQuery's free tier (GiB a month).
BUDGET = 1024

SIZES = {"140k": Holdings(140_000), "14m": Holdings(14_000_000)}

#: What each DAG may be billed for (GiB a month): together the whole budget. A bad month needs nearly all of it.
SHARES = load_shares()

MONITOR = "operations/monitoring_checks"

#: DAG and statement.
Line = tuple[str, str]


#: What a month is like: nothing happens, or there are outages and corrections.
QUIET, BAD = "quiet", "bad"

VIEW = "include/sql/bigquery/monitoring/read_view.sql"


@cache
def _readings_of_half_a_day(broken: bool) -> Mapping[str, int]:
    start = datetime(2026, 3, 3, tzinfo=UTC)
    hours = OUTAGE_HOURS if broken else 0
    outage = Faults(start + timedelta(hours=1), start + timedelta(hours=1 + hours), "sync stopped")
    day = WatchedDay(start, 1, outage, corrections_an_hour=1)
    played(day, load_checks(), 12, lambda _: None)
    return day.reads


def readings_a_month(situation: str) -> Counter[str]:
    """Return how often the monitor reads each view in a month: half a day is played with every round of it."""
    broken = OUTAGES if situation == BAD else 0
    total: Counter[str] = Counter()
    for halves, outage in ((2 * MONTH_DAYS - broken, False), (broken, True)):
        if halves:
            total.update({view: count * halves for view, count in _readings_of_half_a_day(outage).items()})
    return total


#: How often a month the monitor reads the log of alerts and that of signals: once after each event. A stated model:
#: ten events a day, and an outage with its announcement, its reminders every 15 minutes and its end.
ALERT_STATE = {"include/sql/bigquery/alerts/alert_events.sql", "include/sql/bigquery/alerts/newest_signals.sql"}
ALERT_READINGS = {QUIET: 10 * MONTH_DAYS, BAD: 10 * MONTH_DAYS + 50 * OUTAGES}
#: The log of the checks is read when one is about to become an alert.
CHECK_HISTORY = "include/sql/bigquery/alerts/check_history.sql"
NEW_ALERTS = {QUIET: 2 * MONTH_DAYS, BAD: 2 * MONTH_DAYS + 20 * OUTAGES}


Dags = Mapping[str, Callable[[], Sequence[Ordinary]]]
#: A DAG, a statement that it sends, what that reads, and the kind of run that sends it.
Played = tuple[str, Sent, dict[str, Reading], Ordinary]


def played_dags(dags: Dags) -> list[Played]:
    """Play each kind of run once."""
    return [
        (dag, sent, readings(sent.text, sent.values, drives.NOW), made)
        for dag, kinds in dags.items()
        for made in kinds()
        for sent in record(dag, made).sent
    ]


@cache
def _played() -> list[Played]:
    return played_dags(ORDINARY)


def month(size: str, situation: str = QUIET, sent_by: Sequence[Played] | None = None) -> Counter[Line]:
    """Return what each statement of each DAG is billed for in a month (bytes).

    :param sent_by: statements of other DAGs than those of the schedules.
    """
    bill: Counter[Line] = Counter()
    for dag, sent, reads, made in _played() if sent_by is None else sent_by:
        times = times_a_month(dag, made, bad=situation == BAD)
        line = (dag, sent.file or sent.text)
        if dag == MONITOR and sent.file == VIEW:
            view = sent.identifiers["view"]
            line, times = (dag, f"{VIEW}: {view}"), readings_a_month(situation)[view]
        if dag == MONITOR and sent.file in ALERT_STATE:
            times = ALERT_READINGS[situation]
        if dag == MONITOR and sent.file == CHECK_HISTORY:
            times = NEW_ALERTS[situation]
        read = (SIZES[size].bytes_read(table, reading) for table, reading in reads.items())
        bill[line] += round(times * billed_bytes(read))
    return bill


def by_dag(bill: Counter[Line]) -> dict[str, float]:
    """Return the GiB of each DAG."""
    return {dag: sum(cost for (owner, _), cost in bill.items() if owner == dag) / GIB for dag in ORDINARY}


def over(bill: Counter[Line]) -> dict[str, str]:
    """Return the DAGs that exceed their share, each with its dearest statement."""
    return {
        dag: max((line for line in bill if line[0] == dag), key=lambda line: bill[line])[1]
        for dag, cost in by_dag(bill).items()
        if SHARES.exceeded({_dag_id(dag): cost})
    }


def _dag_id(dag: str) -> str:
    return dag.rpartition("/")[2]


def told(bill: Counter[Line]) -> str:
    """Return the bill for people: who exceeds a share, each DAG, and the dearest statements first."""
    lines = [f"{cost / GIB:8.1f} GiB  {dag:32} {statement}" for (dag, statement), cost in bill.most_common()]
    dags = [f"{cost:8.1f} GiB of {SHARES.gib_a_month[_dag_id(dag)]:4.0f}  {dag}" for dag, cost in by_dag(bill).items()]
    grown = [f"{dag} exceeds its share, most of it by {statement}" for dag, statement in over(bill).items()]
    return "\n".join([f"{sum(bill.values()) / GIB:.0f} GiB a month", *grown, *dags, *lines])


def test_the_shares_are_within_the_budget() -> None:
    assert set(SHARES.gib_a_month) == set(map(_dag_id, ORDINARY))
    assert sum(SHARES.gib_a_month.values()) <= BUDGET


@pytest.mark.parametrize("situation", [QUIET, BAD])
@pytest.mark.parametrize("size", SIZES)
def test_a_month_stays_within_the_free_tier(size: str, situation: str) -> None:
    bill = month(size, situation)
    assert over(bill) == {}, told(bill)
    assert sum(bill.values()) / GIB < BUDGET, told(bill)


@pytest.mark.parametrize(
    ("dag", "step", "statement"),
    [
        ("draws/draw_repair", ordinary.repair, "repair/unwhole_periods.sql"),
        ("draws/draw_collect", ordinary.collect, "collect/stored_bounds.sql"),
        ("draws/draw_sync", ordinary.sync, "sync/period_hours.sql"),
    ],
)
def test_who_asks_by_the_clock_exceeds_the_share_and_is_named(dag: str, step: ordinary.Step, statement: str) -> None:
    """The negative case: scheduled runs that cannot look at the newest days without a query."""
    (usual, *_) = ORDINARY[dag]()
    bill = month("140k", sent_by=played_dags({dag: lambda: [replace(usual, run=ordinary.asking(step))]}))
    assert over(bill) == {dag: f"include/sql/bigquery/{statement}"}
    assert f"most of it by include/sql/bigquery/{statement}" in told(bill)


@pytest.mark.parametrize(
    ("dag", "changed"),
    [("draws/draw_sync", "sync/log_sync.sql"), ("draws/draw_repair", ""), ("draws/feature_refresh", ""),
     ("draws/draw_collect", ""), ("draws/draw_sync_replay", "")],
)  # fmt: skip
def test_a_scheduled_run_without_news_asks_nothing(dag: str, changed: str) -> None:
    """Only the sync leaves a record, which is its watermark."""
    (usual, *_) = ORDINARY[dag]()
    assert [sent.file for sent in record(dag, usual).sent] == [f"include/sql/bigquery/{changed}"] * bool(changed)
