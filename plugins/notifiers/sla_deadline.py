"""The deadline of a DAG's scheduled runs, made of its entry in ``include/config/deadlines.yaml``."""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from deadlines.fresh_interval import FreshIntervalEnd
from drawsguard.deadlines import deadline_of
from drawsguard.settings import get_settings
from notifiers.sla_miss import SlaMissMail
from notifiers.sla_signal import SlaMissAlert


def sla_deadline(dag_id: str) -> DeadlineAlert:
    """Return what to pass as ``deadline`` of the DAG.

    With a priority a miss is a mail and an alert, which ``report_delivery`` ends; without one it is a mail. It
    concerns the data: a run that has delivered them and failed in something else missed nothing.

    :raises drawsguard.deadlines.DeadlineError: when the DAG has no entry, or the file is not valid.
    """
    settings = get_settings()
    deadline = deadline_of(dag_id)
    mail: dict[str, Any] = {
        "to": deadline.address(settings),
        "look_at": deadline.hints(),
        "delivered_by": deadline.delivered_by,
        "daily": deadline.daily,
    }
    allowed = deadline.interval(settings)
    if deadline.priority is None:
        callback = AsyncCallback(SlaMissMail, kwargs=mail)
    else:
        callback = AsyncCallback(SlaMissAlert, kwargs={"priority": deadline.priority, **mail})
    return DeadlineAlert(
        name=deadline.name,
        reference=FreshIntervalEnd(
            delivered_by=deadline.delivered_by, daily=deadline.daily, allowed_seconds=allowed.total_seconds()
        ),
        interval=allowed,
        callback=callback,
    )
