"""The mail of a task that failed for good: of the monitor's own, and of any that could not be reported to it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from drawsguard.alerts.config import load_alert_config
from drawsguard.settings import get_settings
from notifiers.template_mail import TemplateMail, run_url

#: DAGs with this tag belong to the points team; all others to the draws team.
POINTS_TAG = "points"


class TaskFailureMail(TemplateMail):
    """Says which task failed, why, what that means (first line of the DAG's documentation), and where to look."""

    def __init__(self, *, to: str, **kwargs: Any) -> None:
        super().__init__(to=to, name="task_failure", **kwargs)

    def values(self, context: Any) -> dict[str, Any]:
        return failure_values(context)


def failure_values(context: Any) -> dict[str, Any]:
    """Return what is known of the failed task of ``context``, for templates."""
    task_instance, dag_run = context["ti"], context["dag_run"]
    error = context.get("exception")
    return {
        "dag_id": task_instance.dag_id,
        "task_id": task_instance.task_id,
        "run_id": task_instance.run_id,
        "map_index": task_instance.map_index,
        "try_number": task_instance.try_number,
        "run_type": str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        "interval_start": dag_run.data_interval_start,
        "interval_end": dag_run.data_interval_end,
        "error": f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error or ""),
        "meaning": meaning(context["dag"].doc_md),
        "priority": load_alert_config().priority_of_task(context["dag"].tags).value,
        "failed_at": datetime.now(UTC),
        "url": f"{run_url(task_instance.dag_id, task_instance.run_id)}/tasks/{task_instance.task_id}",
    }


def meaning(doc_md: str | None) -> str:
    """Return the first line of a DAG's documentation: what a failure means."""
    lines = (doc_md or "").strip().splitlines()
    return lines[0].lstrip("# ").strip() if lines else ""


def team_address(tags: Collection[str]) -> str:
    """Return the addresses (comma separated) of the team that owns a DAG with these tags."""
    settings = get_settings()
    return settings.points_email if POINTS_TAG in tags else settings.draws_email


def task_failure_mail(context: Any) -> None:
    """Mail a final task failure to the team that owns the DAG."""
    TaskFailureMail(to=team_address(context["dag"].tags))(context)
