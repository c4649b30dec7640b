"""Asks Airflow's REST API which runs a DAG has had since; a callback cannot read the metadata database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

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
