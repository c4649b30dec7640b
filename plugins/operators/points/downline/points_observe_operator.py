"""Watch the downlined batches once a day, and notify the owners ahead of the cleanup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts import signals
from drawsguard.monitoring.observation import Priority
from drawsguard.points.database import utc
from drawsguard.points.downline.observe import (
    Notice,
    alert_detail,
    alert_key,
    downlined_points,
    due_notices,
    restore_requests,
)
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.policy import get_policy
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks import points_databases
from hooks.warehouse_hook import warehouse_client
from notifiers.points_mail import owner_address, send_each, send_mail


class PointsObserveOperator(BaseOperator):
    """Look for use and errors of downlined points: each halts its batch's cleanup and raises one P1 alert per batch.

    The alert ends when none of the batch's downlined points shows signs of life any more, i.e. after their restore.
    Returns the number of signs of life of each batch. A batch that fails does not keep the others from being watched.
    """

    template_fields: Sequence[str] = ()

    def execute(self, context: Context) -> dict[str, int]:
        """Watch every batch under observation.

        :raises AirflowException: after all batches, when some could not be watched.
        """
        found: dict[str, int] = {}
        failures: list[str] = []
        with points_databases.repositories() as repositories:
            for batch_id, observed_from, until, halted_at in repositories.observations.observed():
                try:
                    found[batch_id] = self._watch(repositories, batch_id, observed_from, context["run_id"])
                    if not halted_at and not found[batch_id]:
                        self._tell_owners(repositories, batch_id, until)
                except Exception as error:
                    self.log.exception("Batch %s could not be watched", batch_id)
                    repositories.connection.rollback()
                    failures.append(f"{batch_id}: {type(error).__name__}: {error}")
        if failures:
            raise AirflowException(f"{len(failures)} batches could not be watched, the others were: {failures}")
        return found

    def _watch(self, repositories: Repositories, batch_id: str, observed_from: datetime, run_id: str) -> int:
        settings = get_settings()
        signs = points_databases.signs_now(repositories, batch_id, observed_from)
        points = sorted({sign.point_id for sign in signs})
        if not signs:
            detail = "已下线积分不再有使用或报错。No downlined point of the batch shows signs of life any more."
            signals.end(self._monitor(), alert_key(batch_id), detail, run_id=run_id, now=datetime.now(UTC))
            return 0
        repositories.observations.save(
            {
                "batch_id": batch_id,
                "kind": sign.kind,
                "oper_type": sign.oper_type,
                "point_id": sign.point_id,
                "last_seen": sign.last_seen,
                "seen_count": sign.times,
            }
            for sign in signs
        )
        if repositories.observations.halt(
            batch_id, f"{len(points)} downlined points show signs of life: {points[:20]}"
        ):
            repositories.audit.note(batch_id, "halted", "airflow", points=points)
        detail = alert_detail(batch_id, points)
        now = datetime.now(UTC)
        signals.fire(self._monitor(), alert_key(batch_id), Priority.P1, detail, run_id=run_id, now=now)
        # After the alert, which must be raised whatever becomes of the mail.
        send_mail(
            settings.points_email,
            "downline/use_after_downline",
            batch_id=batch_id,
            signs=signs,
            points=points,
            restores=restore_requests(repositories, batch_id, points),
            restore_url=f"{settings.ui_base_url}/dags/points_restore",
        )
        return len(signs)

    def _monitor(self) -> MonitoringRepository:
        return MonitoringRepository(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id)

    def _tell_owners(self, repositories: Repositories, batch_id: str, until: datetime) -> None:
        points = downlined_points(repositories, batch_id)
        owners = {c.point_id: c.owner for c in repositories.batches.candidates(batch_id) if c.point_id in points}
        now = utc(datetime.now(UTC))
        days = get_policy().observe.notice_days

        def tell(notice: Notice) -> None:
            send_mail(owner_address(notice.owner), "cleanup/notice", batch_id=batch_id, notice=notice, until=until)
            repositories.observations.save_notice(batch_id, notice.days_before, notice.owner, len(notice.points))
            self.log.info("Notified %s of %s points", notice.owner or "the team (no owner)", len(notice.points))

        due = due_notices(owners, until, now, days, repositories.observations.notices(batch_id))
        if failures := send_each((f"owner {notice.owner!r}", partial(tell, notice)) for notice in due):
            raise AirflowException(
                f"{len(failures)} of {len(due)} notices were not sent, the others were: {failures[:20]}"
            )
