"""Asks Airflow's REST API which runs a DAG has had since; a callback cannot read the metadata database."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from requests import RequestException

logger = logging.getLogger(__name__)

#: A page of the API; the newest ones are on it.
MOST = 100


def runs_since(dag_id: str, moment: datetime) -> Sequence[Mapping[str, Any]]:
    """Return a DAG's runs that were to start at ``moment`` (aware) or later, the newest first, as the API shows them.

    :raises LookupError: when there is no connection for it.
    :raises requests.RequestException: when Airflow does not answer, or refuses.
    """
    # Asked when something is late; its imports are those of every engine.
    from hooks.preflight_connections import PreflightConnections

    query = urlencode({"run_after_gte": moment.isoformat(), "order_by": "-run_after", "limit": MOST})
    runs: Sequence[Mapping[str, Any]] = PreflightConnections().airflow(
        f"/dags/{quote(dag_id, safe='')}/dagRuns?{query}"
    )["dag_runs"]
    return runs


def runs_if_known(dag_id: str, moment: datetime) -> Sequence[Mapping[str, Any]] | None:
    """Return what `runs_since` does; None when Airflow cannot be asked."""
    try:
        return runs_since(dag_id, moment)
    except (LookupError, ValueError, RequestException) as error:
        logger.warning("Airflow could not be asked for the runs of %s: %s", dag_id, error)
        return None
