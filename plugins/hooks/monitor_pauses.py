"""Asks Airflow's audit log whether a person had paused the monitor; a task cannot read the metadata database."""

from __future__ import annotations

import logging
from datetime import datetime
from urllib.parse import urlencode

from requests import RequestException

from drawsguard.monitoring.pauses import SLACK, was_paused

logger = logging.getLogger(__name__)

DAG_ID = "monitoring_checks"


def monitor_was_paused(since: datetime, until: datetime) -> bool:
    """Return whether the monitor was paused from ``since`` to ``until`` (aware); what cannot be read was no pause."""
    # Asked in the rare round after an interruption; its imports are those of every engine.
    from hooks.preflight_connections import PreflightConnections

    query = urlencode({"dag_id": DAG_ID, "event": "patch_dag", "after": (since - SLACK).isoformat(), "limit": 100})
    try:
        events = PreflightConnections().airflow(f"/eventLogs?{query}")["event_logs"]
    except (LookupError, ValueError, RequestException) as error:
        logger.warning("Whether the monitor was paused cannot be read (%s): it counts as interrupted", error)
        return False
    return was_paused(events, since, until)
