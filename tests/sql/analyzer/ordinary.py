"""The runs of each scheduled DAG, driven as in `tests.sql.analyzer.drives`: what statements a month is made of.

The model: a feed with the draws of `tests.sql.analyzer.flow`, each of which is news to `draw_collect`, `draw_news` and
`feature_refresh` once; scheduled runs that find nothing new; and the runs that begin without memory, since another day
has begun or an older day has changed. In a bad month there are also corrections every hour, and outages after which
nothing can be looked at without a query for an hour, dead letters are replayed, and draws repaired. Retries and what
people start come on top.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from unittest import mock

from croniter import croniter

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.replay.replay import Delivered
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.settings import REPOSITORY
from tests.sql.analyzer import drives
from tests.sql.analyzer.drives import Drive, context
from tests.sql.analyzer.flow import Flow, draws_a_day
from tests.sql.analyzer.recording import Answer, Recorder

MONTH_DAYS = 31
#: Of the sync, nine hours each, in a bad month; draws are collected meanwhile.
OUTAGES = 5
OUTAGE_HOURS = 9
#: Corrections a day: in a bad month, one an hour. Those of an older day are found by their period.
CORRECTIONS, BAD_CORRECTIONS = 2, 24
BAD_OLDER_CORRECTIONS = 1


@dataclass(frozen=True)
class Ordinary:
    """A kind of run of a DAG.

    :param often: how many there are a day; None: as many as the schedule makes.
    :param worse: how many more a bad month has.
    """

    run: Callable[[Recorder], None]
    answers: dict[str, Answer] = field(default_factory=dict)
    often: float | None = None
    worse: float = 0


Step = Callable[[Flow], None]


def knowing(step: Step, *missing: str, after: Sequence[Step] = ()) -> Callable[[Recorder], None]:
    """Return a run that remembers what the one before it has learnt.

    :param missing: tables that do not have the newest draw.
    :param after: what ran before, instead of the same.
    """

    def run(recorder: Recorder) -> None:
        flow = Flow(recorder)
        for earlier in after or [step]:
            earlier(flow)
        for kept in (recorder.sent, recorder.streamed):
            kept.clear()
        flow.lose(*missing)
        step(flow)

    return run


def asking(step: Step, *missing: str) -> Callable[[Recorder], None]:
    """Return a run that can list nothing without a query."""

    def run(recorder: Recorder) -> None:
        flow = Flow(recorder, listed=False)
        flow.lose(*missing)
        step(flow)

    return run


def at_first(_flow: Flow) -> None:
    """Nothing ran before: nothing is remembered."""


# --- the draws ----------------------------------------------------------------------------------------------
def collect(flow: Flow) -> None:
    """One poll; those of a run whose answer is known to be written cost nothing."""
    from hooks.draw_feed_hook import DrawFeedHook
    from operators.draws.collect.draw_collect_operator import DrawCollectOperator

    with mock.patch.object(DrawFeedHook, "latest", return_value=flow.answer()):
        DrawCollectOperator(task_id="collect", polls=1).execute(flow.context())


def sync(flow: Flow) -> None:
    _sync(flow, news=False)


def news(flow: Flow) -> None:
    _sync(flow, news=True)


def _sync(flow: Flow, *, news: bool) -> None:
    from operators.draws.sync.draw_sync_operator import DrawSyncOperator
    from operators.draws.sync.draw_verify_operator import DrawVerifyOperator

    plan = DrawSyncOperator(task_id="sync", slot=timedelta(minutes=5), news=news).execute(flow.context())
    DrawVerifyOperator(task_id="verify", plan=plan).execute(flow.context())


def repair(flow: Flow) -> None:
    from operators.draws.repair.draw_repair_operator import DrawRepairOperator

    DrawRepairOperator(task_id="repair").execute(flow.context(dry_run=False))


def replay(flow: Flow) -> None:
    from operators.draws.replay import dead_letter_replay_operator as module

    with mock.patch.object(module, "DeadLetterQueue", return_value=mock.Mock(pull=list)):
        module.DeadLetterReplayOperator(task_id="replay").execute(flow.context())


def letter(flow: Flow) -> None:
    """A run that replays the letter of an interval, which has been synced meanwhile."""
    from operators.draws.replay import dead_letter_replay_operator as module

    request = SyncRequest(Window(drives.BEGIN, drives.NOW), "interval")
    failed = {"dag_id": "d", "task_id": "t", "run_id": drives.RUN, "try_number": 1, "failed_at": drives.NOW}
    one = DeadLetter.of(RuntimeError("no"), request, job_id=None, **failed)
    state = {
        "dlq_id": one.dlq_id, "dag_id": "d", "task_id": "t", "interval_start": drives.BEGIN, "interval_end": drives.NOW,
        "mode": "interval", "attempts": 0, "status": "waiting", "retriable": True, "next_attempt_at": drives.BEGIN,
        "reason": "r", "message": "m",
    }  # fmt: skip
    flow.recorder.answers["replay/state"] = [state]
    pulled = [[Delivered("ack", one.to_bytes())], []]
    with mock.patch.object(module, "DeadLetterQueue", return_value=mock.Mock(pull=lambda: pulled.pop(0))):
        module.DeadLetterReplayOperator(task_id="replay").execute(flow.context())


def features(flow: Flow) -> None:
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    FeatureRefreshOperator(task_id="refresh").execute(flow.context())


def reconcile(recorder: Recorder) -> None:
    from operators.draws.repair.draw_reconcile_operator import DrawReconcileOperator

    DrawReconcileOperator(task_id="reconcile").execute(context(hours=48))


def review(recorder: Recorder) -> None:
    from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

    FeatureRefreshOperator(task_id="review", review=True).execute(context())


# --- operations ---------------------------------------------------------------------------------------------
def digest(recorder: Recorder) -> None:
    from hooks.alert_delivery_hook import AlertDeliveryHook
    from operators.operations.alert_digest_operator import AlertDigestOperator

    with mock.patch.object(AlertDeliveryHook, "send", return_value=(["channel"], [])):
        AlertDigestOperator(task_id="digest").execute(context())


def monitor(recorder: Recorder) -> None:
    """A round that reads every view, and the log of the checks; how often each is read is counted elsewhere."""
    from drawsguard.alerts.manager import AlertManager
    from hooks.free_evidence import FreeEvidence
    from operators.operations.monitoring_check_operator import MonitoringCheckOperator

    recorder.lists = True
    with (
        mock.patch.object(AlertManager, "record"),
        mock.patch.object(AlertManager, "_deliver", return_value=[]),
        mock.patch.object(FreeEvidence, "service_errors", return_value={}),
    ):
        MonitoringCheckOperator(task_id="check").execute(context())


def by_name(name: str) -> dict[str, Answer]:
    return dict(next(drive for drive in drives.DRIVES if drive.name == name).answers)


def _draw_path(
    step: Step,
    *missing: str,
    after: Sequence[Step],
    answers: dict[str, Answer] | None = None,
    also_asking: int = 0,
    fails: bool = False,
) -> list[Ordinary]:
    """Return the kinds of runs of a DAG that looks at the newest days: its schedule, news, and who has to ask.

    :param missing: tables that lack the newest draw where there is news; without them there is none.
    :param after: who looks before it, and remembers for all, when another day begins or an older day has changed.
    :param also_asking: runs of a bad month that ask beside those of the outages.
    :param fails: whether an outage is one of this stage: the draws of its hours are synced by one run, not each by one.
    """
    answers = answers or {}
    changed_days = BAD_OLDER_CORRECTIONS * MONTH_DAYS + OUTAGES
    kinds = [
        Ordinary(knowing(step), answers),
        Ordinary(knowing(step, after=after), answers, often=1, worse=changed_days),
        Ordinary(asking(step, *missing), answers, often=0, worse=12 * OUTAGES + also_asking),
    ]
    if missing:
        worse = (BAD_CORRECTIONS - CORRECTIONS) * MONTH_DAYS - fails * OUTAGES * draws_a_day() * OUTAGE_HOURS / 24
        kinds.append(Ordinary(knowing(step, *missing), answers, often=draws_a_day() + CORRECTIONS, worse=worse))
    return kinds


def by_news(kinds: Sequence[Ordinary]) -> list[Ordinary]:
    """Return the kinds of runs of a DAG without a schedule."""
    return [kind for kind in kinds if kind.often is not None]


ORDINARY: dict[str, Callable[[], list[Ordinary]]] = {
    "draws/draw_collect": lambda: _draw_path(
        collect,
        "source",
        after=[at_first],
        answers=by_name("collect"),
        also_asking=BAD_OLDER_CORRECTIONS * MONTH_DAYS,
    ),
    "draws/draw_sync": lambda: _draw_path(sync, after=[collect, news], answers=by_name("sync")),
    # Nothing but news starts it.
    "draws/draw_news": lambda: by_news(
        _draw_path(news, "target", after=[collect], answers=by_name("sync"), fails=True)
    ),
    "draws/draw_repair": lambda: [
        *_draw_path(repair, after=[collect, news]),
        Ordinary(drives.repair, often=0, worse=OUTAGES),
    ],
    "draws/draw_reconcile": lambda: [
        Ordinary(reconcile, by_name("sync") | {"repair/last_reconcile": [{"started_at": drives.BEGIN}]})
    ],
    "draws/draw_sync_replay": lambda: [
        *_draw_path(replay, after=[at_first], answers=by_name("dead_letters")),
        # Each interval of an outage leaves a letter; the first sync after it has synced them all.
        Ordinary(knowing(letter), by_name("dead_letters"), often=0, worse=OUTAGES * OUTAGE_HOURS * 12),
        Ordinary(drives.dead_letters, by_name("dead_letters"), often=0, worse=OUTAGES),
    ],
    "draws/feature_refresh": lambda: _draw_path(
        features,
        "features",
        after=[collect, news],
        answers=by_name("features") | {"features/differing_days": [], "features/changed_draws": []},
        fails=True,
    ),
    "draws/feature_review": lambda: [Ordinary(review, by_name("features") | {"features/differing_days": []})],
    "operations/heartbeat": lambda: [Ordinary(lambda _: None)],  # it asks nothing of BigQuery
    "operations/monitoring_checks": lambda: [Ordinary(monitor)],
    "operations/oidc_checks": lambda: [Ordinary(drives.identity)],
    "operations/alert_digest": lambda: [Ordinary(digest)],
    "operations/daily_inspection": lambda: [Ordinary(lambda _: drives.inspect("daily"), by_name("inspections"))],
    "operations/weekly_audit": lambda: [Ordinary(lambda _: drives.inspect("weekly"), by_name("inspections"))],
    "operations/monthly_slo": lambda: [Ordinary(lambda _: drives.inspect("monthly"), by_name("inspections"))],
}


def schedule_of(dag: str) -> str | None:
    """Return the cron expression of a DAG's file, None when only people or other DAGs start it."""
    text = (REPOSITORY / "dags" / f"{dag}.py").read_text(encoding="utf-8")
    found = re.search(r"Cron\w+Timetable\(\s*\"([^\"]+)\"", text)
    return found[1] if found else None


@cache
def runs_by_day(cron: str) -> tuple[int, ...]:
    """Return how many runs a cron expression makes on each day of a month of 31 days."""
    minutes, hours = (
        len(range(size) if field == ["*"] else field)
        for field, size in zip(croniter.expand(cron)[0], (60, 24), strict=False)
    )
    days = " ".join(["0 0", *cron.split()[2:]])
    month = datetime(2026, 3, 1, tzinfo=UTC)
    return tuple(minutes * hours * croniter.match(days, month + timedelta(days=n)) for n in range(31))


def runs_a_day(dag: str) -> int:
    """Return how many runs the schedule makes on its fullest day."""
    cron = schedule_of(dag)
    return max(runs_by_day(cron)) if cron else 0


def runs_a_month(dag: str) -> int:
    """Return how many runs the schedule makes in a month of 31 days."""
    cron = schedule_of(dag)
    return sum(runs_by_day(cron)) if cron else 0


def record(dag: str, made: Ordinary) -> Recorder:
    """Play one run and return what was sent."""
    return Drive(dag, made.run, made.answers).record()


def times_a_day(dag: str, made: Ordinary) -> float:
    """Return how many of these runs there are on the fullest day of a good month."""
    return runs_a_day(dag) if made.often is None else made.often


def times_a_month(dag: str, made: Ordinary, *, bad: bool = False) -> float:
    """Return how many of these runs there are in a month of 31 days."""
    usual = runs_a_month(dag) if made.often is None else MONTH_DAYS * made.often
    return usual + made.worse * bad
