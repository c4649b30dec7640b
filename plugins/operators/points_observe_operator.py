"""Watch the downlined batches once a day, and tell the owners ahead of the cleanup."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.alerts import signals
from drawsguard.alerts.lifecycle import Priority
from drawsguard.monitoring.store import MonitorStore
from drawsguard.points.database import utc
from drawsguard.points.lifecycle import Lifecycle
from drawsguard.points.observe import alert_detail, alert_key, downlined_points, due_notices, signs_of_life
from drawsguard.points.rules import get_rules
from drawsguard.points.telemetry_config import points_config
from drawsguard.settings import get_settings
from hooks.warehouse_hook import warehouse_client
from operators import points_servers
from operators.points_mail import owner_address, send_mail


class PointsObserveOperator(BaseOperator):
    """Look for use and errors of downlined points: each halts its batch's cleanup and raises one P1 alert a batch.

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
        with points_servers.lifecycle() as lifecycle:
            for batch_id, observed_from, until, halted_at in lifecycle.observed():
                try:
                    found[batch_id] = self._watch(lifecycle, batch_id, observed_from, context["run_id"])
                    if not halted_at and not found[batch_id]:
                        self._tell_owners(lifecycle, batch_id, until)
                except Exception as error:
                    self.log.exception("Batch %s could not be watched", batch_id)
                    lifecycle.connection.rollback()
                    failures.append(f"{batch_id}: {type(error).__name__}: {error}")
        if failures:
            raise AirflowException(f"{len(failures)} batches could not be watched, the others were: {failures}")
        return found

    def _watch(self, lifecycle: Lifecycle, batch_id: str, observed_from: datetime, run_id: str) -> int:
        settings = get_settings()
        with points_servers.environment("intranet") as connection:
            signs = signs_of_life(
                lifecycle, connection, batch_id, observed_from, points_config(), settings.business_timezone
            )
        points = sorted({sign.point_id for sign in signs})
        if not signs:
            detail = "已下线积分不再有使用或报错。No downlined point of the batch shows signs of life any more."
            signals.end(self._monitor(), alert_key(batch_id), detail, run_id=run_id, now=datetime.now(UTC))
            return 0
        lifecycle.save_observations(
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
        if lifecycle.halt(batch_id, f"{len(points)} downlined points show signs of life: {points[:20]}"):
            lifecycle.note(batch_id, "halted", "airflow", points=points)
        send_mail(
            settings.points_email,
            "use_after_downline",
            batch_id=batch_id,
            signs=signs,
            points=points,
            restore_url=f"{settings.ui_base_url}/dags/points_restore",
        )
        detail = alert_detail(batch_id, points)
        now = datetime.now(UTC)
        signals.fire(self._monitor(), alert_key(batch_id), Priority.P1, detail, run_id=run_id, now=now)
        return len(signs)

    def _monitor(self) -> MonitorStore:
        return MonitorStore(warehouse_client(), dag_id=self.dag_id, task_id=self.task_id)

    def _tell_owners(self, lifecycle: Lifecycle, batch_id: str, until: datetime) -> None:
        points = downlined_points(lifecycle, batch_id)
        owners = {c.point_id: c.owner for c in lifecycle.candidates(batch_id) if c.point_id in points}
        now = utc(datetime.now(UTC))
        days = get_rules().observe.notice_days
        for notice in due_notices(owners, until, now, days, lifecycle.notices(batch_id)):
            send_mail(owner_address(notice.owner), "cleanup_notice", batch_id=batch_id, notice=notice, until=until)
            lifecycle.save_notice(batch_id, notice.days_before, notice.owner, len(notice.points))
            self.log.info("Told %s of %s points", notice.owner or "the team (no owner)", len(notice.points))
