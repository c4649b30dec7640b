"""The code paths that send statements to BigQuery, each driven once with an answering client.

Operators are driven, not what is below them: how a statement gets from an operator to the client may change. Every file
of ``include/sql/bigquery`` and ``local/sql`` must be reached by one of them; a test names those that are not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import Any
from unittest import mock

import time_machine
from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.providers.google.cloud.links.bigquery import BigQueryJobDetailLink

from drawsguard.draws.collect.feed import AnswerNotJsonError, parse_answer
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.settings import get_settings
from tests.sql.analyzer.recording import Answer, Recorder, Row, Sent

NOW = datetime(2026, 3, 3, 1, 5, tzinfo=UTC)
BEGIN = NOW - timedelta(minutes=5)
HOUR = timedelta(hours=1)
HOURS = {"first_hour": BEGIN, "end_hour": NOW + HOUR}
PERIODS = {"first_period": 100, "last_period": 101}
#: Connections that are looked up, and never used.
CONNECTIONS = {
    "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": "google-cloud-platform://",
    "AIRFLOW_CONN_DRAW_FEED_DEFAULT": "http://127.0.0.1:1",
    "AIRFLOW_CONN_SMTP_DEFAULT": "smtp://127.0.0.1:1",
}
RUN = "manual__2026-03-03T01:05:00+00:00"


@dataclass(frozen=True)
class Drive:
    """One path: the function that takes it, and what BigQuery answers meanwhile."""

    name: str
    run: Callable[[Recorder], None]
    answers: Mapping[str, Answer] = field(default_factory=dict)

    def record(self) -> Recorder:
        """Take the path and return what was sent."""
        recorder = Recorder(dict(self.answers))
        client = recorder.client()
        answering = mock.patch.object(BigQueryHook, "get_client", return_value=client)
        unlinked = mock.patch.object(BigQueryJobDetailLink, "persist")
        connections = mock.patch.dict(os.environ, CONNECTIONS)
        with recorder.recording(), answering, unlinked, connections, time_machine.travel(NOW):
            self.run(recorder)
        return recorder

    @cached_property
    def sent(self) -> list[Sent]:
        """What it sends, in order; driven once for all who ask."""
        return self.record().sent


DRIVES: list[Drive] = []


def drive(**answers: Answer) -> Callable[[Callable[[Recorder], None]], Callable[[Recorder], None]]:
    """Register a path. Answers are named by file: ``sync__watermark`` is ``sync/watermark.sql``."""

    def register(run: Callable[[Recorder], None]) -> Callable[[Recorder], None]:
        named = {name.replace("__", "/"): answer for name, answer in answers.items()}
        DRIVES.append(Drive(run.__name__, run, named))
        return run

    return register


def context(**params: Any) -> dict[str, Any]:
    """Return what a task sees of its run."""
    run = SimpleNamespace(
        run_id=RUN,
        run_type="scheduled",
        data_interval_start=BEGIN,
        data_interval_end=NOW,
        run_after=NOW,
        start_date=NOW,
        triggering_user_name="requester",
        clear_number=0,
    )
    task_instance = mock.MagicMock(run_id=RUN, try_number=1, map_index=-1, dag_id="a_dag", task_id="a_task")
    return {
        "dag_run": run,
        "run_id": RUN,
        "ti": task_instance,
        "params": params,
        "logical_date": NOW,
        "dag": SimpleNamespace(tags=["draws"], doc_md="A DAG."),
    }


# --- schema ------------------------------------------------------------------------------------------------
def schema(recorder: Recorder) -> None:
    """Apply every migration to an empty warehouse; its statements make the catalog of all the others."""
    from operators.operations.warehouse_schema_operator import WarehouseSchemaOperator

    WarehouseSchemaOperator(task_id="migrate").execute(context(dry_run=False))


SCHEMA = Drive("schema", schema)


# --- draws -------------------------------------------------------------------------------------------------
_ROWS = """{"message": "success", "data": [
  {"nbr": 100, "number": "8+8+4", "date": "2026-03-03", "time": "09:03:30"},
  {"nbr": 101, "number": "8+8", "date": "2026-03-03", "time": "09:00:00"}]}"""


STORED = {"read_from": BEGIN, "read_until": NOW, "period_from": 90, "period_until": 100}


@drive(recent__rest=[{"highest": 99, "before_cut": 50}])
def newest_days(recorder: Recorder) -> None:
    """What is asked once of each table, so that its newest days can be looked at without a query."""
    from drawsguard.draws.recent import tables
    from hooks.asset_memory import DRAWS
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    store = SimpleNamespace(get=lambda _name: None, set=lambda _name, _value: None)
    known = context() | {"asset_state_store": {DRAWS: store}}
    changes = mock.patch.object(tables, "partition_changes", return_value={"20260301": 1})
    with changes, mock.patch.object(tables, "partition_rows", return_value=[]):
        FeatureRefreshOperator(task_id="refresh").execute(known)


@drive(
    collect__stored_bounds=[STORED],
    collect__stored_draws=[{"period": 99, "timestamp": BEGIN, "numbers": [1, 2, 3]}],
)
def collect(recorder: Recorder) -> None:
    """Valid draws and rejected rows, from the newest ones and from the history; and an answer without content."""
    from hooks.draw_feed_hook import DrawFeedHook
    from operators.draws.collect.draw_collect_operator import DrawCollectOperator
    from operators.draws.collect.draw_history_read_operator import DrawHistoryReadOperator

    answer = parse_answer(_ROWS, NOW)
    operator = DrawCollectOperator(task_id="collect", polls=1)
    with mock.patch.object(DrawFeedHook, "latest", return_value=answer):
        operator.execute(context())
    with mock.patch.object(DrawFeedHook, "history", return_value=[answer]):
        piece = {"from": BEGIN.isoformat(), "to": NOW.isoformat()}
        DrawHistoryReadOperator(task_id="read", piece=piece).execute(context())
    broken = mock.Mock(side_effect=AnswerNotJsonError("no JSON", "<html>", 200))
    with mock.patch.object(DrawFeedHook, "latest", broken):
        _expect(AnswerNotJsonError, lambda: operator.execute(context()))


_SYNC_ANSWERS: dict[str, Answer] = {
    "sync__watermark": [{"watermark": BEGIN}],
    "sync__window_periods": [PERIODS],
    "sync__period_hours": [HOURS],
}


@drive(**_SYNC_ANSWERS)
def sync(recorder: Recorder) -> None:
    """A scheduled sync, a range, a dry run, and the verification."""
    from operators.draws.sync.draw_sync_operator import DrawSyncOperator
    from operators.draws.sync.draw_verify_operator import DrawVerifyOperator

    operator = DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5))
    asked = {"from": BEGIN.isoformat(), "to": NOW.isoformat()}
    plan = operator.execute(context())
    operator.execute(context(**asked))
    operator.execute(context(**asked, dry_run=True))
    DrawVerifyOperator(task_id="verify", plan=plan).execute(context())


@drive(**_SYNC_ANSWERS | {"sync__period_hours": 403})
def failed_sync(recorder: Recorder) -> None:
    """The log row of a sync that failed has NULLs where the others have figures."""
    from drawsguard.warehouse.failures import StatementError
    from operators.draws.sync.draw_sync_operator import DrawSyncOperator

    operator = DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5))
    _expect(StatementError, lambda: operator.execute(context()))


def _doubled() -> list[Row]:
    return [{"period": 100, "problem": "duplicate", "expected": "a", "actual": "a"}]


class Once:
    """An answer that is given once; then there is nothing to tell any more."""

    def __init__(self, first: list[Row], then: list[Row]) -> None:
        self._answers = [first]
        self._then = then

    def __call__(self, _values: dict[str, Any]) -> list[Row]:
        return self._answers.pop() if self._answers else self._then


@drive()
def repair(recorder: Recorder) -> None:
    """Draws that were not synced, one of them doubled, and one that nobody has; enough of them for a report."""
    from hooks.draw_feed_hook import DrawFeedHook
    from notifiers.incident import IncidentMail
    from operators.draws.repair.draw_repair_operator import DrawRepairOperator

    many = [
        {"first_period": 100, "last_period": 120, "cause": "not_synced", "gap_start": BEGIN, "gap_end": NOW},
        {"first_period": 123, "last_period": 123, "cause": "not_collected", "gap_start": BEGIN, "gap_end": NOW},
    ]
    many = [gap | {"loaded": False} for gap in many]
    present = [{"period": period, "side": side} for period in range(100, 121) for side in ("source", "target")]
    report = dict.fromkeys(("source_draws", "target_draws", "duplicates", "missing_periods"), 1) | {"newest_draw": NOW}
    recorder.answers |= {
        "collect/stored_bounds": [STORED],
        "repair/missing_periods": many,
        "repair/open_periods": [{"period": 90, "detected_at": BEGIN, "asked_at": BEGIN}],
        "repair/unwhole_periods": [PERIODS],
        "repair/draw_times": [{"period": 122, "drawn_at": BEGIN}],
        "repair/present_periods": present,
        "repair/verification": [report],
        "repair/failures_between": [{"failed_at": NOW, "what": "draw_sync.sync", "error": "no"}],
        "sync/period_hours": [HOURS],
        "sync/draws_match_source": Once(_doubled(), []),
    }
    answer = parse_answer(_ROWS, NOW)
    with mock.patch.object(DrawFeedHook, "history", return_value=[answer]), mock.patch.object(IncidentMail, "notify"):
        DrawRepairOperator(task_id="repair").execute(context(dry_run=False))
        # Nothing is known to be missing: the array that is bound is empty.
        recorder.answers["repair/open_periods"] = []
        recorder.answers["repair/missing_periods"] = []
        DrawRepairOperator(task_id="repair").execute(context(dry_run=False))


@drive(
    **_SYNC_ANSWERS,
    repair__last_reconcile=[{"started_at": BEGIN}],
    repair__changed_hours=[{"hour_utc": BEGIN - 90 * 24 * HOUR}],
    repair__unwhole_periods=[PERIODS],
    repair__doubled_periods=[{"period": 100}],
)
def reconcile(recorder: Recorder) -> None:
    """The daily comparison, with a draw that has a newer version."""
    from operators.draws.repair.draw_reconcile_operator import DrawReconcileOperator

    DrawReconcileOperator(task_id="reconcile").execute(context(hours=48))


_DAYS = {"draws_from": BEGIN, "draws_to": NOW, "features_from": BEGIN, "features_to": NOW}


@drive(
    features__differing_days=[{"day": BEGIN}],
    sync__draw_days=[{"day": BEGIN}],
    features__changed_draws=[{"changed": 2, "first_issue": 10_000, "last_issue": 10_001}],
    features__span_bounds=[_DAYS | {"newest_issue": 10_001}],
)
def features(recorder: Recorder) -> None:
    """A refresh after which a draw is not right, one that finds nothing, one of a range, and a review."""
    from drawsguard.draws.features.refresh import FeaturesNotRefreshedError
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    operator = FeatureRefreshOperator(task_id="refresh")
    _expect(FeaturesNotRefreshedError, lambda: operator.execute(context()))
    recorder.answers["features/differing_days"] = []
    operator.execute(context())
    operator.execute(context(**{"from": BEGIN.isoformat(), "to": NOW.isoformat()}))
    FeatureRefreshOperator(task_id="review", review=True).execute(context())


class LegacyWarehouse:
    """Tables of old: answers which layout each name has, as the renames leave it, and what was migrated.

    :param legacy: names with their datasets.
    """

    def __init__(self, *legacy: str) -> None:
        self.layouts = dict.fromkeys(legacy, "legacy")
        self.applied: list[Row] = []

    def answers(self) -> dict[str, Answer]:
        """Return the answers by file."""
        return {
            "history/probe": self._probe,
            "history/rename": self._rename,
            "history/create_partitioned": self._create,
            "schema/V002__draws": self._create,
            "schema/V020__draws_14w": self._create,
            "schema/applied_migrations": lambda _values: self.applied,
            "schema/record_migration": self._record,
            "history/months": [{"month": "2026-02"}],
            "history/faults": [{"reason": "created_at_missing", "row_count": 1}],
            "history/compare_month": [_MONTH],
        }

    def _probe(self, values: dict[str, Any]) -> list[Row] | int:
        (name,) = _names(values["statement"])
        return {"legacy": 400, "present": [{"stamp": None}]}.get(self.layouts.get(name, ""), 404)

    def _rename(self, values: dict[str, Any]) -> list[Row]:
        (name,) = _names(values["statement"])
        new_name = values["statement"].split()[-1]
        self.layouts[f"{name.split('.')[0]}.{new_name}"] = self.layouts.pop(name)
        return []

    def _create(self, values: dict[str, Any]) -> list[Row]:
        for name in _names(values["statement"]):
            self.layouts.setdefault(name, "present")
        return []

    def _record(self, values: dict[str, Any]) -> list[Row]:
        self.applied.append({name: values[name]["value"] for name in ("version", "checksum")})
        return []


def _names(statement: str) -> list[str]:
    """Return the quoted names of a statement: ``dataset.table``."""
    return [name.split(".", 1)[1] for name in re.findall(r"`([^`]+)`", statement)]


_MONTH: Row = {
    "legacy_versions": 1,
    "migrated_versions": 1,
    "invalid_rows": 0,
    "legacy_digest": 1,
    "migrated_digest": 1,
}


def _history(side: str) -> None:
    from drawsguard.approvals.model import Approved
    from operators.draws.history.draw_history_copy_operator import DrawHistoryCopyOperator
    from operators.draws.history.draw_history_cut_over_operator import DrawHistoryCutOverOperator
    from operators.draws.history.draw_history_prepare_operator import DrawHistoryPrepareOperator

    params = {"side": side, "cut_over": True}
    DrawHistoryPrepareOperator(task_id="prepare").execute(context(**params))
    DrawHistoryCopyOperator(task_id="copy", month="2026-02").execute(context(**params))
    cut_over = DrawHistoryCutOverOperator(task_id="cut_over", side=side)  # type: ignore[arg-type]
    by_hand = context(**params)
    by_hand["dag_run"].run_type = "manual"
    proposal = cut_over.propose(by_hand)
    cut_over.prepare(by_hand, proposal)
    cut_over.carry_out(by_hand, proposal, Approved("approver", proposal.digest, NOW), None)


@drive()
def history_of_source(recorder: Recorder) -> None:
    """The migration of a legacy table of the source."""
    recorder.answers |= LegacyWarehouse("drawsguard.draws").answers()
    _history("source")


@drive()
def history_of_target(recorder: Recorder) -> None:
    """The migration of legacy tables of the target."""
    recorder.answers |= LegacyWarehouse("pc28.draws", "pc28.draws_14w").answers()
    _history("target")


def adopt(recorder: Recorder) -> None:
    """All of an adoption in its order: schema, source, schema, target, schema; no path of an ordinary warehouse."""
    from airflow.sdk.exceptions import AirflowFailException

    recorder.answers |= LegacyWarehouse("drawsguard.draws", "pc28.draws", "pc28.draws_14w").answers()
    for side in ("source", "target"):
        _expect(AirflowFailException, lambda: schema(recorder))
        _history(side)
    schema(recorder)


ADOPTION = Drive("adoption", adopt)


@drive(**_SYNC_ANSWERS, replay__depth=[{"waiting": 1, "set_aside": 1, "oldest_failure": BEGIN}])
def dead_letters(recorder: Recorder) -> None:
    """Letters that are replayed, fail again, are set aside; and a message that cannot be read."""
    from airflow.sdk.exceptions import AirflowFailException

    from drawsguard.draws.replay.dead_letter import DeadLetter
    from drawsguard.draws.replay.replay import Delivered
    from operators.draws.replay import dead_letter_replay_operator as replay

    names = {"dag_id": "d", "task_id": "t", "run_id": RUN, "try_number": 1, "failed_at": NOW}
    letters = [
        DeadLetter.of(RuntimeError("no"), SyncRequest(Window(BEGIN - n * HOUR, NOW), "interval"), job_id=job, **names)
        for n, job in enumerate(("job", None))
    ]
    pulls = [[*(Delivered("ack", one.to_bytes()) for one in letters), Delivered("ack", b"no letter")], []]
    rows = [
        {
            "dlq_id": one.dlq_id,
            "dag_id": "d",
            "task_id": "t",
            "interval_start": one.interval_start,
            "interval_end": one.interval_end,
            "mode": "interval",
            "attempts": 0,
            "status": "waiting",
            "retriable": retriable,
            "next_attempt_at": BEGIN,
            "reason": "r",
            "message": "m",
        }
        for one, retriable in zip(letters, (True, False), strict=True)
    ]
    recorder.answers["replay/state"] = rows
    queue = mock.Mock(pull=mock.Mock(side_effect=lambda: pulls.pop(0) if pulls else []))
    with mock.patch.object(replay, "DeadLetterQueue", return_value=queue):
        operator = replay.DeadLetterReplayOperator(task_id="replay")
        _expect(AirflowFailException, lambda: operator.execute(context()))
        # The replay itself fails: its reason is recorded.
        pulls.append([Delivered("ack", letters[0].to_bytes())])
        recorder.answers |= {"replay/state": rows[:1], "sync/window_periods": 403}
        _expect(AirflowFailException, lambda: operator.execute(context()))


# --- monitoring, alerts, identity ---------------------------------------------------------------------------
_EVENT: Row = {
    "alert_id": "a",
    "alert_key": "check:x:y",
    "kind": "fired",
    "priority": "P0",
    "event_at": BEGIN,
    "actor": "monitor",
    "detail": "d",
    "until": None,
    "explained_by": "",
}
_SIGNAL: Row = {
    "alert_key": "task:a_dag.a_task",
    "signalled_at": BEGIN,
    "state": "firing",
    "priority": "P1",
    "detail": "d",
    "run_id": "r",
}


@drive(alerts__alert_events=[_EVENT], alerts__newest_signals=[_SIGNAL])
def monitor(recorder: Recorder) -> None:
    """One round of the monitor: every view is read, every result kept, alerts recorded and delivered."""
    from airflow.sdk.exceptions import AirflowException

    from drawsguard.monitoring.checks import load_checks
    from drawsguard.warehouse.monitoring_repository import MonitoringRepository
    from hooks.alert_delivery_hook import AlertDeliveryHook
    from hooks.free_evidence import FreeEvidence
    from operators.operations.monitoring_check_operator import MonitoringCheckOperator

    recorder.lists = True
    with (
        mock.patch.object(AlertDeliveryHook, "send", return_value=(["channel"], [])),
        mock.patch.object(FreeEvidence, "service_errors", return_value={}),
    ):
        try:
            MonitoringCheckOperator(task_id="check").execute(context())
        except AirflowException as error:
            raise AssertionError(f"the monitor could not read its views: {error}") from error
        repository = MonitoringRepository(recorder.client(), dag_id="monitoring_checks", task_id="check")
        holes = next(check for check in load_checks().checks if check.name == "collection_has_no_holes")
        MonitoringCheckOperator(task_id="check")._look_again(repository, holes, ["2025-10-01"])


@drive(alerts__alert_events=[_EVENT])
def commands(recorder: Recorder) -> None:
    """A person acknowledges an alert, resolves it, and mutes it; the digest tells of it."""
    from hooks.alert_delivery_hook import AlertDeliveryHook
    from operators.operations.alert_command_operator import AlertCommandOperator
    from operators.operations.alert_digest_operator import AlertDigestOperator

    for command in ("acknowledge", "resolve", "mute"):
        AlertCommandOperator(
            task_id=command, command=command, key="check:x:y", note="a planned pause", hours=1
        ).execute(context())  # type: ignore[arg-type]
    with mock.patch.object(AlertDeliveryHook, "send", return_value=(["channel"], [])):
        AlertDigestOperator(task_id="digest").execute(context())


@drive()
def signals(recorder: Recorder) -> None:
    """A task reports its failure and the end of it."""
    from notifiers import task_signal

    task_signal.report_failure(context() | {"exception": RuntimeError("no")})
    with mock.patch.object(task_signal, "may_end_a_failure", return_value=True):
        task_signal.report_success(context())


def identity(_recorder: object) -> None:
    """The results of the identity checks: they are loaded, without a statement."""
    from drawsguard.identity.inspector import IdentityInspector
    from drawsguard.identity.model import CheckResult
    from operators.operations.oidc_check_operator import OidcCheckOperator

    result = CheckResult("collector", 1, "account", ())
    with mock.patch.object(IdentityInspector, "check", return_value=[result]):
        OidcCheckOperator(task_id="check").execute(context())


@drive(
    monitoring__reports__latency=[{"draws": 1, "p50": 1, "p95": 1, "p99": 1}],
    monitoring__reports__cost_by_dag=[{"dag": "draw_sync", "jobs": 1, "bytes_billed": 1, "slot_ms": 1}],
)
def inspections(recorder: Recorder) -> None:
    """The daily, weekly and monthly inspection."""
    for kind in ("daily", "weekly", "monthly"):
        inspect(kind)


def inspect(kind: str) -> None:
    """Make one inspection; nothing is kept or mailed."""
    from operators.operations import inspection_operator

    mail = mock.patch.object(inspection_operator, "send")
    kept = mock.patch.object(inspection_operator.artifacts, "store", return_value="kept")
    with mail, kept:
        inspection_operator.InspectionOperator(task_id=kind, kind=kind).execute(context())  # type: ignore[arg-type]


def _viewed(values: dict[str, Any]) -> list[Row]:
    """Answer a monitoring view as a healthy pipeline would."""
    rows: dict[str, Row] = {
        "cloud_freshness_v": {"table_name": "target.draws", "overdue_draws": 0, "status": "fresh"},
        "sync_success_rate_v": {"window_name": "24 h", "minutes_since_success": 3.0, "success_rate": 100.0},
        "dead_letter_depth_v": {"waiting": 0, "set_aside": 0},
        "monitor_heartbeat_v": {"seconds_ago": 30, "rounds_last_hour": 60},
    }
    return [row for view, row in rows.items() if f"{view}`" in values["statement"]]


@drive(monitoring__newest_draw=[{"newest": NOW}], monitoring__read_view=_viewed)
def health(recorder: Recorder) -> None:
    """The detailed health, as its endpoint asks for it."""
    import health_plugin

    assessed = health_plugin._look()
    assert {part.name for part in assessed.parts if part.status == "unhealthy"} == set(), assessed


@drive()
def operations_pages(recorder: Recorder) -> None:
    """The pages that read BigQuery, as they read it behind Airflow's API server."""
    from drawsguard.pages import alerts_view
    from drawsguard.pages.draws_view import DrawsReader
    from drawsguard.pages.identity_view import IdentityReader

    reader = DrawsReader(recorder.client())
    reader.between(BEGIN, NOW)
    reader.intervals(NOW)
    reader.letters(NOW)
    reader.hours(NOW.date())
    reader.kept(NOW.date())
    assert alerts_view.read_board(recorder.client(), NOW).alerts == {}
    identity = IdentityReader(recorder.client())
    identity.checks(NOW)
    identity.turns(NOW)
    identity.changes()
    assert identity.repairs(NOW) == {}


@drive(preflight__local_time=[{"local_time": "2026-11-15 05:00:00"}])
def preflight(recorder: Recorder) -> None:
    """Preflight asks how BigQuery tells an instant; its dry runs are of the statements of the others."""
    from drawsguard.preflight import zones

    world: Any = SimpleNamespace(settings=get_settings(), warehouse=recorder.client, bigquery_emulator="")
    assert list(zones.engine(world, "BigQuery"))


# --- the demo ----------------------------------------------------------------------------------------------
class _Demo:
    """The demo's context without its stack: the feed's answers are canned."""

    def __init__(self, recorder: Recorder) -> None:
        from local.config import Config
        from local.demo.context import DemoContext

        self.context = DemoContext(mock.Mock(spec=Config), started=NOW)
        truth = [
            {
                "period": period,
                "timestamp": (NOW - 6 * HOUR + period * timedelta(minutes=1)).isoformat(),
                "numbers": [1],
            }
            for period in range(1000)
        ]
        pages = {"/health": {"since": (NOW - 72 * HOUR).isoformat()}, "/truth": {"data": truth}}
        self.context.bigquery = recorder.client  # type: ignore[method-assign]
        self.context.feed = lambda path, **_: pages[path]  # type: ignore[method-assign]
        self.context.say = lambda _: None  # type: ignore[method-assign]
        self.context.api = mock.MagicMock()  # type: ignore[method-assign]


_TARGET: list[Row] = [{"period": period, "numbers": [1, 2, 3], "copies": 1} for period in range(1000)]


@drive(
    sync__watermark=[{"watermark": NOW + HOUR}],
    target_draws=_TARGET,
    source_counts=[{"periods": 1, "quarantined": 0}],
    latency=[{"fresh": 1, "p50": 1.0, "p95": 1.0, "p99": 1.0, "features_p95": 1.0}],
)
def demo_draws(recorder: Recorder) -> None:
    """The figures of the draws."""
    from local.demo import draws

    with mock.patch.object(draws, "wait_for", lambda _name, reached, **_: reached()):
        draws.run(mock.MagicMock(), _Demo(recorder).context)


@drive(features=[{"feature_rows": 1, "refreshes": 1, "rebuilt_rows": 1}])
def demo_features(recorder: Recorder) -> None:
    """The figures of the features."""
    from local.demo import features as demo

    demo.run(mock.MagicMock(), _Demo(recorder).context)


@drive(target_draws=_TARGET, repairs=[{"draws": 1, "mttr_p95_s": 1.0}])
def demo_repair(recorder: Recorder) -> None:
    """Holes are torn into both tables and healed."""
    from local.demo import repair as demo

    with mock.patch.object(demo, "wait_for", lambda _name, reached, **_: reached()):
        demo.run(mock.MagicMock(), _Demo(recorder).context)


@drive(target_draws=_TARGET, dead_letters=[{"failed": 9, "replayed": 9, "set_aside": 9}])
def demo_dead_letters(recorder: Recorder) -> None:
    """Draws are written again, deleted, and the letters counted."""
    from local.demo import dead_letters as demo

    with mock.patch.object(demo, "wait_for", lambda _name, reached, **_: reached()):
        demo.run(mock.MagicMock(), _Demo(recorder).context)


@drive(
    alert_history=[{"acknowledged_by": "requester", "status": "resolved"}],
    identity_findings=[{"findings": "[]"}],
)
def demo_alerts(recorder: Recorder) -> None:
    """The life of an alert, and what the identity checks found."""
    from local.demo import alerts as demo
    from local.demo import identity as demo_identity

    message = {"at": NOW.isoformat(), "title": "a title"}
    quiet = (
        mock.patch.object(demo, "break_it"),
        mock.patch.object(demo, "repair"),
        mock.patch.object(demo, "wait_for", return_value=message),
        mock.patch.object(demo_identity, "wait_for"),
        mock.patch.object(demo, "find", return_value=mock.Mock(detect_seconds=1.0)),
        mock.patch.object(demo, "healthy_alerts", return_value=0),
    )
    with ExitStack() as stack:
        for one in quiet:
            stack.enter_context(one)
        api = mock.MagicMock(trigger=mock.Mock(return_value=RUN))
        demo.run(api, _Demo(recorder).context)
    # What the test of an identity repair on the running stack reads back.
    _Demo(recorder).context.query("identity_audit.sql", run_id=RUN, since=BEGIN)


@drive()
def exported_logs(recorder: Recorder) -> None:
    """What stands in for Google's log sinks writes rows."""
    from local.google import logs

    with mock.patch.object(logs.bigquery, "Client", return_value=recorder.client()):
        sink = logs.LogSink("http://127.0.0.1:1", list)
    sink.write([])
    sink.write_changes([])


def _expect(error: type[Exception], run: Callable[[], object]) -> None:
    try:
        run()
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected: the path that is driven here ends with it")
