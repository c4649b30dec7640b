"""How many statements change each table on an ordinary day, against what BigQuery allows.

BigQuery lets a table be modified 1,500 times a day by load, copy and query jobs that write to it. DML is not refused
by that limit but counts towards it: a table that takes more DML a day refuses load and copy jobs.

The model: each scheduled DAG makes its ordinary run, driven as in `tests.sql.analyzer.drives` with a feed that has
draws, of which one poll a minute finds a new one, checks that pass, nothing to repair and nothing to replay. Each
INSERT, UPDATE, DELETE or MERGE that is sent counts once for its target, whether or not it changes a row, times the runs
that the DAG's schedule makes in a day.
Retries, repairs, alerts and what people start come on top.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
import sqlglot
from croniter import croniter
from sqlglot import exp

from drawsguard.draws.collect.feed import parse_answer
from drawsguard.settings import REPOSITORY
from tests.sql.analyzer import drives
from tests.sql.analyzer.drives import Drive, context
from tests.sql.analyzer.recording import Answer, Recorder

ALLOWED = 1500

#: Tables that take more than that, with the figure: each needs another way to write, or load jobs must never be used on
#: it. A table that leaves this list is taken out; one that must be added is a decision, not a number to adjust.
KNOWN_FINDINGS = {
    # Two polls a minute, each with a log row.
    "pc28_monitor.collect_log": 2880,
}


@dataclass(frozen=True)
class Ordinary:
    """An ordinary run of a DAG.

    :param times: how often a run does what is driven here.
    :param triggers: runs a day that assets start, beside those of the schedule.
    """

    run: Callable[[Recorder], None]
    answers: dict[str, Answer] = field(default_factory=dict)
    times: int = 1
    triggers: int = 0


def collect(recorder: Recorder) -> None:
    from hooks.draw_feed_hook import DrawFeedHook
    from operators.draws.collect.draw_collect_operator import DrawCollectOperator

    body = '{"message": "success", "data": [{"nbr": 1, "number": "8+8+4", "date": "2026-03-03", "time": "09:03:30"}]}'
    answer = parse_answer(body, drives.NOW)
    (draw,) = answer.draws
    nothing = dict.fromkeys(("read_from", "read_until", "period_from", "period_until"))
    recorder.answers["collect/stored_bounds"] = [nothing]
    with mock.patch.object(DrawFeedHook, "latest", return_value=answer):
        for _ in range(DrawCollectOperator(task_id="collect").polls):
            DrawCollectOperator(task_id="collect", polls=1).execute(context())
            # A draw comes every few minutes, so one poll of a run finds it at most; the others have nothing to insert.
            bounds = {"read_from": drives.BEGIN, "read_until": drives.NOW, "period_from": 1, "period_until": 2}
            stored = {"period": draw.period, "timestamp": draw.timestamp, "numbers": list(draw.numbers)}
            recorder.answers |= {"collect/stored_bounds": [bounds], "collect/stored_draws": [stored]}


def sync(recorder: Recorder) -> None:
    from operators.draws.sync.draw_sync_operator import DrawSyncOperator

    DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5)).execute(context())


def repair(recorder: Recorder) -> None:
    from operators.draws.repair.draw_repair_operator import DrawRepairOperator

    DrawRepairOperator(task_id="repair").execute(context(dry_run=False))


def reconcile(recorder: Recorder) -> None:
    from operators.draws.repair.draw_reconcile_operator import DrawReconcileOperator

    DrawReconcileOperator(task_id="reconcile").execute(context(hours=48))


def replay(recorder: Recorder) -> None:
    from operators.draws.replay import dead_letter_replay_operator as module

    with mock.patch.object(module, "DeadLetterQueue", return_value=mock.Mock(pull=list)):
        module.DeadLetterReplayOperator(task_id="replay").execute(context())


def features(recorder: Recorder) -> None:
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    FeatureRefreshOperator(task_id="refresh").execute(context())


def review(recorder: Recorder) -> None:
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    FeatureRefreshOperator(task_id="review", review=True).execute(context())


def digest(recorder: Recorder) -> None:
    from hooks.alert_delivery_hook import AlertDeliveryHook
    from operators.operations.alert_digest_operator import AlertDigestOperator

    with mock.patch.object(AlertDeliveryHook, "send", return_value=(["channel"], [])):
        AlertDigestOperator(task_id="digest").execute(context())


def monitor(recorder: Recorder) -> None:
    """Every check passes, so that no alert is recorded: alerts are not ordinary."""
    from drawsguard.alerts.manager import AlertManager

    with mock.patch.object(AlertManager, "round", return_value=[]):
        drives.monitor(recorder)


def by_name(name: str) -> dict[str, Answer]:
    return dict(next(drive for drive in drives.DRIVES if drive.name == name).answers)


ORDINARY: dict[str, Callable[[], Ordinary]] = {
    "draws/draw_collect": lambda: Ordinary(collect),
    "draws/draw_sync": lambda: Ordinary(sync, by_name("sync")),
    "draws/draw_repair": lambda: Ordinary(repair),
    "draws/draw_reconcile": lambda: Ordinary(
        reconcile, by_name("sync") | {"repair/last_reconcile": [{"started_at": drives.BEGIN}]}
    ),
    "draws/draw_sync_replay": lambda: Ordinary(replay, by_name("dead_letters")),
    # Every sync that is verified starts a refresh, beside the schedule.
    "draws/feature_refresh": lambda: Ordinary(
        features,
        by_name("features") | {"features/differing_days": drives.Once([{"day": drives.BEGIN}], [])},
        triggers=runs_a_day("draws/draw_sync"),
    ),
    "draws/feature_review": lambda: Ordinary(review, by_name("features") | {"features/differing_days": []}),
    "operations/monitoring_checks": lambda: Ordinary(monitor),
    "operations/oidc_checks": lambda: Ordinary(drives.identity),
    "operations/alert_digest": lambda: Ordinary(digest),
    "operations/daily_inspection": lambda: Ordinary(lambda _: drives.inspect("daily"), by_name("inspections")),
    "operations/weekly_audit": lambda: Ordinary(lambda _: drives.inspect("weekly"), by_name("inspections")),
    "operations/monthly_slo": lambda: Ordinary(lambda _: drives.inspect("monthly"), by_name("inspections")),
}


def schedule_of(dag: str) -> str | None:
    """Return the cron expression of a DAG's file, None when only people or other DAGs start it."""
    text = (REPOSITORY / "dags" / f"{dag}.py").read_text(encoding="utf-8")
    found = re.search(r"Cron\w+Timetable\(\s*\"([^\"]+)\"", text)
    return found[1] if found else None


def runs_a_day(dag: str) -> int:
    """Return how many runs the schedule makes on its fullest day."""
    cron = schedule_of(dag)
    if cron is None:
        return 0
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    runs = croniter(cron, begin - timedelta(seconds=1))
    days: Counter[str] = Counter()
    while (at := runs.get_next(datetime)) < begin + timedelta(days=32):
        days[f"{at:%F}"] += 1
    return max(days.values())


def changed_table(text: str) -> str | None:
    """Return the table that a statement changes, as dataset and name; None for all else."""
    tree = sqlglot.parse_one(text, dialect="bigquery")
    if not isinstance(tree, exp.Merge | exp.Insert | exp.Update | exp.Delete):
        return None
    table = tree.this.find(exp.Table) if not isinstance(tree.this, exp.Table) else tree.this
    return ".".join(part.name for part in table.parts[1:])


def statements_a_day(dags: Mapping[str, Callable[[], Ordinary]]) -> dict[str, int]:
    """Return how many DML statements each table takes on an ordinary day."""
    totals: Counter[str] = Counter()
    for dag, ordinary in dags.items():
        made = ordinary()
        sent = Drive(dag, made.run, made.answers).record().sent
        changed = Counter(table for one in sent if (table := changed_table(one.text)))
        for table, count in changed.items():
            totals[table] += count * made.times * (runs_a_day(dag) + made.triggers)
    return dict(totals)


def test_every_scheduled_dag_is_in_the_model() -> None:
    files = [path for team in ("draws", "operations") for path in (REPOSITORY / "dags" / team).glob("*.py")]
    names = {f"{path.parent.name}/{path.stem}" for path in files}
    assert {name for name in names if schedule_of(name)} == set(ORDINARY)


def test_tables_take_fewer_statements_a_day_than_load_jobs_allow() -> None:
    figures = statements_a_day(ORDINARY)
    assert figures["pc28.draws"] == 288  # the model sees what it is about
    over = {table: count for table, count in figures.items() if count > ALLOWED}
    assert over == KNOWN_FINDINGS


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("MERGE `p.d.t` AS t USING (SELECT 1 AS a) AS s ON FALSE WHEN NOT MATCHED THEN INSERT ROW", "d.t"),
        ("INSERT INTO `p.d.t` (a) SELECT 1", "d.t"),
        ("UPDATE `p.d.t` SET a = 1 WHERE b = 1", "d.t"),
        ("DELETE FROM `p.d.t` WHERE b = 1", "d.t"),
        ("SELECT a FROM `p.d.t`", None),
        ("CREATE TABLE `p.d.t` (a INT64)", None),
    ],
)
def test_changed_table_is_found(text: str, table: str | None) -> None:
    assert changed_table(text) == table


def test_too_many_statements_would_be_seen() -> None:
    """The negative case: the monitor's round twice a minute lifts its table above the limit."""
    crowded = {"operations/monitoring_checks": lambda: Ordinary(monitor, times=2)}
    assert statements_a_day(crowded)["pc28_monitor.check_log"] > ALLOWED
