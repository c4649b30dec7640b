"""The mail when the monitor cannot report: one when a task begins to fail, none while it continues to fail."""

from __future__ import annotations

from typing import Any

from notifiers.task_failure import task_failure_mail


def first_failure_mail(context: Any) -> None:
    """Mail a task failure unless the run before failed too; an ``on_failure_callback``."""
    previous = context["ti"].get_previous_dagrun()
    if previous is None or str(previous.state) != "failed":
        task_failure_mail(context)
