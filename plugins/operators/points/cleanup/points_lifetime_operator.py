"""The monthly report of points whose lifetime nobody controls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException
from redis.exceptions import RedisError

from drawsguard.points import definitions
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.estimate import Estimate, estimate_points
from drawsguard.points.cleanup.lifetime import LifetimeReport, first_of_each, lifetime_point
from drawsguard.points.cleanup.lifetime_workbook import write_lifetime
from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.ticket import LivingPoints
from drawsguard.points.database import stream
from drawsguard.points.environments import as_environment
from drawsguard.points.review.usage import UsageIndex
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.oper_type import parser
from drawsguard.settings import get_settings
from hooks import artifacts, points_databases
from hooks.cleanup_databases import cleanup_repositories, instances_by_cluster, living_points
from hooks.redis_instance_hook import RedisInstanceHook
from notifiers.points_mail import send_mail
from notifiers.template_mail import run_url

if TYPE_CHECKING:
    from airflow.sdk import Context


class PointsLifetimeOperator(BaseOperator):
    """Write and mail the report of one environment's points.

    Whether a point has a lifetime is derived from its keys: it has one when every sampled key expires. An instance that
    cannot be read leaves its points unknown, and the mail says so.

    :param environment: ``intranet`` or ``extranet``.
    :returns: the totals of the report.
    """

    template_fields: Sequence[str] = ("environment",)

    def __init__(self, *, environment: str = "extranet", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the report."""
        today = points_databases.business_today()
        usage = UsageIndex(parser(points_config().oper_type_pattern), datetime.min)  # noqa: DTZ901 - naive business time
        with (
            points_databases.governance() as governance,
            points_databases.environment(as_environment(self.environment)) as connection,
        ):
            usage.add(stream(governance, "cleanup/last_use.sql"))
            usage.spread_tags(points_databases.members_of_tags())
            rows = first_of_each(definitions.live_definitions(connection))
        with cleanup_repositories() as (tickets, _):
            served = living_points({row.cluster for row in rows}, tickets)
        estimates, unread = self._estimates(served)
        report = LifetimeReport(
            [lifetime_point(row, usage.of(row.point_id), estimates.get(row.point_id), today) for row in rows],
            get_config().idle_days,
        )
        month = f"{today:%Y-%m}"
        run = context["dag_run"]
        with artifacts.drafts() as folder:
            workbook = folder / f"积分生命周期-{self.environment}-{month}.xlsx"
            write_lifetime(workbook, month, report)
            artifacts.store(workbook, "lifetime")
            send_mail(
                get_settings().points_email,
                "cleanup/lifetime",
                [workbook],
                month=month,
                environment=self.environment,
                report=report,
                unread=unread,
                run_url=run_url(run.dag_id, run.run_id),
            )
        return {
            "points": len(report.points),
            "without_owner": len(report.without_owner),
            "without_lifetime": len(report.without_lifetime),
            "lifetime_unknown": report.lifetime_unknown,
            "idle": {str(days): number for days, number in report.idle().items()},
        }

    def _estimates(self, served: LivingPoints) -> tuple[dict[int, Estimate], list[str]]:
        """Sample the keys of the served points; return the estimates and the instances that could not be read."""
        by_cluster = instances_by_cluster()
        by_instance: dict[str, list[Structure]] = {}
        for structure in served.structures:
            for name in by_cluster.get(structure.cluster, ()):
                by_instance.setdefault(name, []).append(structure)
        totals: dict[int, Estimate] = {}
        unread = []
        for name, structures in sorted(by_instance.items()):
            try:
                found = estimate_points(structures, [RedisInstanceHook(name).get_instance()], get_config().estimate)
            except (AirflowNotFoundException, RedisError) as error:
                self.log.warning("Instance %s cannot be read: %s", name, error)
                unread.append(name)
                continue
            for eid, estimate in found.items():
                totals[eid] = totals.get(eid, Estimate(0, 0, 0, 0)) + estimate
        return totals, unread
