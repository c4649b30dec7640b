"""Watch the downlined batches once a day, and notify the owners ahead of the cleanup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts import signals
from drawsguard.alerts.signals import MAIL_SENT
from drawsguard.monitoring.observation import Priority
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.database import fetch, utc
from drawsguard.points.digest import digest_of
from drawsguard.points.downline.observation_repository import Observed
from drawsguard.points.downline.observe import (
    Notice,
    alert_detail,
    alert_key,
    date_set,
    due_notices,
    keep_signs,
    require_verified,
    restore_requests,
)
from drawsguard.points.downline.observed_days import ObservedDays
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.policy import get_policy
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.review.evidence import EvidenceRefusedError
from drawsguard.points.telemetry.evidence_days import listed
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks import cleanup_databases, points_databases
from hooks.telemetry import Reading, is_on, send
from hooks.warehouse_hook import warehouse_client
from notifiers.points_mail import owner_address, send_mail
from notifiers.told_once import send_each, tell_each

#: Its name for the mail about use after a downline.
LETTER = "use after downline"


class PointsObserveOperator(BaseOperator):
    """Look for use and errors of downlined points: each halts its batch's cleanup and raises one P1 alert per batch.

    The alert ends when none of the batch's downlined points shows signs of life any more, i.e. after their restore, and
    only on evidence that is up to date: without it nobody knows. A downline that broke off and was restored needs none:
    nothing of it is at -80. Days without evidence prolong the observation.
    Returns the number of signs of life of each batch. A batch that fails does not keep the others from being watched.
    """

    template_fields: Sequence[str] = ()

    def execute(self, context: Context) -> dict[str, int]:
        """Watch every batch under observation.

        :raises AirflowException: after all batches, when some could not be watched, or not as they should: an error,
            evidence that has to be there by now and is not, or a downline that was begun and never verified.
        """
        found: dict[str, int] = {}
        failures: list[str] = []
        with points_databases.repositories() as repositories:
            observed = repositories.observations.observed()
        for batch in observed:
            batch_id = batch.batch_id
            try:
                with points_databases.repositories() as repositories:  # its own: what broke one keeps no other
                    if batch.halted_at:  # the run that halted it may have died before this
                        cleanup_databases.withdraw_from_dba(batch_id, repositories)
                    span = _span(repositories, batch)
                    if span is None:  # whatever the evidence: nothing of it can be used
                        self._end_alert(batch_id, context["run_id"])
                        continue
                    observed_from, until = span
                    days = points_databases.observed_now(repositories, observed_from, until)
                    found[batch_id] = self._watch(repositories, batch_id, observed_from, days, context["run_id"])
                    if batch.state == BatchState.DOWNLINING:  # its end is not known yet, so nobody is told of one
                        require_verified(repositories, batch_id, observed_from, utc(datetime.now(UTC)))
                    elif not batch.halted_at and not found[batch_id]:
                        # Without the days that are missing now: they may come yet, and then prolong nothing.
                        self._tell_owners(repositories, batch_id, observed_from, until)
                    self._require_evidence(batch_id, days)
            except Exception as error:
                self.log.exception("Batch %s could not be watched", batch_id)
                failures.append(f"{batch_id}: {type(error).__name__}: {error}")
        if is_on():
            with points_databases.repositories() as repositories:
                send(_rows_by_state(repositories.connection, found))
        if failures:
            raise AirflowException(f"{len(failures)} batches could not be watched, the others were: {failures}")
        return found

    def _require_evidence(self, batch_id: str, days: ObservedDays) -> None:
        """Name the days that the observation rests on and misses.

        :raises EvidenceRefusedError: when the newest day that has to be there is missing: the push failed, or is late.
        """
        self.log.info(
            "Batch %s is observed from %s to %s; %d day(s) without evidence prolong it: %s",
            batch_id, days.first, days.last, len(days.missing), listed(days.missing) or "none",
        )  # fmt: skip
        if not days.up_to_date:
            raise EvidenceRefusedError(
                f"no evidence for {listed(days.missing)}: use on these days is unknown, and the observation is "
                "prolonged by them. Have points_hive_aggregation and points_push run, then this task again."
            )

    def _watch(
        self, repositories: Repositories, batch_id: str, observed_from: datetime, days: ObservedDays, run_id: str
    ) -> int:
        settings = get_settings()
        signs = points_databases.signs_now(repositories, batch_id, observed_from)
        points = sorted({sign.point_id for sign in signs})
        if not signs and not days.up_to_date:
            return 0
        if not signs:
            self._end_alert(batch_id, run_id)
            return 0
        keep_signs(repositories, batch_id, signs)
        if repositories.observations.halt(
            batch_id, f"{len(points)} downlined points show signs of life: {points[:20]}"
        ):
            repositories.audit.note(batch_id, "halted", "airflow", points=points)
        detail = alert_detail(batch_id, points)
        now = datetime.now(UTC)
        signals.fire(self._monitor(), alert_key(batch_id), Priority.P1, detail, run_id=run_id, now=now)
        # After the alert, which must be raised whatever becomes of the tickets and the mail.
        withdrawn = cleanup_databases.withdraw_from_dba(batch_id, repositories)
        tickets = TicketRepository(repositories.connection)
        results = tickets.results(batch_id)
        done = [ticket.ticket_id for ticket in tickets.tickets(batch_id) if ticket.state == "done"]

        def send() -> None:
            send_mail(
                settings.points_email,
                "downline/use_after_downline",
                batch_id=batch_id,
                signs=signs,
                points=points,
                withdrawn=withdrawn,
                deleted=sum(point.deleted for point in results),
                unconfirmed=sum(point.unconfirmed for point in results),
                done=done,
                restores=restore_requests(batch_id, points_databases.still_down(batch_id), points),
                restore_url=f"{settings.ui_base_url}/dags/points_restore",
            )

        # Each push starts a run: the same signs under the same halt are no news, nor are counts that the window moves.
        halt = str(repositories.batches.get(batch_id).halted_at)
        says = digest_of([[halt], withdrawn, done, *([*sign[:3], str(sign.last_seen)] for sign in signs)])
        tell_each(repositories.audit, batch_id, run_id, {LETTER: send}, says)
        # The newest signal is what the alert knows: it is not sent by mail as well.
        now = datetime.now(UTC)
        detail = f"{detail} {MAIL_SENT}"
        signals.fire(self._monitor(), alert_key(batch_id), Priority.P1, detail, run_id=run_id, now=now)
        return len(signs)

    def _end_alert(self, batch_id: str, run_id: str) -> None:
        detail = "已下线积分不再有使用或报错。No downlined point of the batch shows signs of life any more."
        signals.end(self._monitor(), alert_key(batch_id), detail, run_id=run_id, now=datetime.now(UTC))

    def _monitor(self) -> MonitoringRepository:
        return MonitoringRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id)

    def _tell_owners(self, repositories: Repositories, batch_id: str, observed_from: datetime, until: datetime) -> None:
        # Of a batch that was halted while it was cleaned, the data of some is gone: nobody is to object for it.
        gone = TicketRepository(repositories.connection).done_points(batch_id)
        points = points_databases.points_down(batch_id) - gone
        owners = {c.point_id: c.owner for c in repositories.batches.candidates(batch_id) if c.point_id in points}
        now = utc(datetime.now(UTC))
        days = get_policy().observe.notice_days
        since = date_set(repositories.audit.events(batch_id), observed_from)
        told = repositories.observations.notices(batch_id, since)
        due = due_notices(owners, until, now, days, told)
        notices = {notice.owner: notice for notice in due}

        def sent(owner: str) -> None:
            notice = notices[owner]
            repositories.observations.save_notice(batch_id, notice.days_before, owner, len(notice.points))
            self.log.info("Notified %s of %s points", owner or "the team (no owner)", len(notice.points))

        def tell(notice: Notice) -> None:
            send_mail(owner_address(notice.owner), "cleanup/notice", batch_id=batch_id, notice=notice, until=until)

        letters = {owner: partial(tell, notice) for owner, notice in notices.items()}
        send_each(letters, (), sent)


def _span(repositories: Repositories, batch: Observed) -> tuple[datetime, datetime] | None:
    """Return from when and until when a batch is watched (naive UTC); None when a downline has none of its rows at -80.

    That is before the first row is changed, or after all of them were restored or put back by hand.
    """
    changed = None
    if batch.state == BatchState.DOWNLINING:
        changed = points_databases.copy_journals(repositories, batch.batch_id)
        if changed is None:
            return None
    if batch.observe_from is not None and batch.observe_until is not None:
        return batch.observe_from, batch.observe_until
    return (changed, changed + timedelta(days=get_policy().observe.days)) if changed else None


def _rows_by_state(connection: Any, batches: Iterable[str]) -> list[Reading]:
    """Return how many rows of the observed batches are planned, downlined or restored."""
    names = tuple(batches)
    counts: Counter[tuple[str, str]] = Counter()
    for row in fetch(connection, "pages/rows_by_state.sql", {"batches": names}) if names else ():
        _batch, environment, state, rows = row
        counts[environment, state] += int(rows)
    return [
        Reading("drawsguard.points.rows", rows, {"environment": environment, "state": state})
        for (environment, state), rows in sorted(counts.items())
    ]
