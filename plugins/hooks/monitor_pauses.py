"""Asks Airflow's audit log whether a person had paused a DAG; a task cannot read the metadata database."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from urllib.parse import urlencode

from requests import RequestException

from drawsguard.monitoring.pauses import SLACK, was_paused

logger = logging.getLogger(__name__)

DAG_ID = "monitoring_checks"

#: A pause that began longer before the time in question is not found.
LONGEST_PAUSE = timedelta(days=400)


def monitor_was_paused(since: datetime, until: datetime) -> bool:
    """Return whether the monitor was paused from ``since`` to ``until`` (aware); what cannot be read was no pause."""
    return _was_paused(DAG_ID, since - SLACK, since, until)


def dag_was_paused(dag_id: str, since: datetime, until: datetime) -> bool:
    """Return whether a DAG was paused from ``since``, or from a time before, to ``until`` (aware).

    What cannot be read was no pause.
    """
    return _was_paused(dag_id, since - LONGEST_PAUSE, since, until)


def _was_paused(dag_id: str, after: datetime, since: datetime, until: datetime) -> bool:
    # Asked in the rare round after an interruption; its imports are those of every engine.
    from hooks.preflight_connections import PreflightConnections

    newest = {"order_by": "-when", "limit": 100}
    query = urlencode({"dag_id": dag_id, "event": "patch_dag", "after": after.isoformat(), **newest})
    try:
        events = PreflightConnections().airflow(f"/eventLogs?{query}")["event_logs"]
    except (LookupError, ValueError, RequestException) as error:
        logger.warning("Whether %s was paused cannot be read (%s): it counts as interrupted", dag_id, error)
        return False
    return was_paused(events, since, until)
