"""Asks Airflow's audit log whether a person had paused a DAG; a task cannot read the metadata database."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from requests import RequestException

from drawsguard.monitoring.pauses import OF_MANY_DAGS, OF_ONE_DAG, SLACK, concerns, was_paused

logger = logging.getLogger(__name__)

DAG_ID = "monitoring_checks"

#: A pause that began longer before the time in question is not found.
LONGEST_PAUSE = timedelta(days=400)


def monitor_was_paused(since: datetime, until: datetime) -> bool | None:
    """Return whether the monitor was paused from ``since`` to ``until`` (aware), None when that cannot be read."""
    return _was_paused(DAG_ID, since - SLACK, since, until)


def dag_was_paused(dag_id: str, since: datetime, until: datetime) -> bool:
    """Return whether a DAG was paused from ``since``, or from a time before, to ``until`` (aware).

    What cannot be read was no pause.
    """
    return bool(_was_paused(dag_id, since - LONGEST_PAUSE, since, until))


def _was_paused(dag_id: str, after: datetime, since: datetime, until: datetime) -> bool | None:
    # Asked in the rare round after an interruption; its imports are those of every engine.
    from hooks.preflight_connections import PreflightConnections

    airflow = PreflightConnections()

    def events(**which: Any) -> list[dict[str, Any]]:
        query = urlencode(which | {"after": after.isoformat(), "order_by": "-when", "limit": 100}, doseq=True)
        found: list[dict[str, Any]] = airflow.airflow(f"/eventLogs?{query}")["event_logs"]
        return found

    try:
        one = events(dag_id=dag_id, included_events=OF_ONE_DAG)
        many = events(included_events=OF_MANY_DAGS)
    except (LookupError, ValueError, RequestException) as error:
        logger.warning("Whether %s was paused cannot be read: %s", dag_id, error)
        return None
    return was_paused([*one, *(event for event in many if concerns(event, dag_id))], since, until)
