"""What the operations pages do in Airflow for the person who is signed in; for its API server only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.log import Log
from airflow.sdk.exceptions import AirflowException
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType

from drawsguard.refusal import RefusedError


class TriggerRefusedError(RefusedError):
    """Airflow did not start the run; nothing was done."""


def trigger_run(dag_id: str, params: Mapping[str, Any], person: str) -> tuple[str, bool]:
    """Start a run as a person, note it in Airflow's audit log, and return its id and whether its DAG is paused.

    The caller has checked the person's right to trigger the DAG.

    :raises TriggerRefusedError: when the DAG is unknown or broken, or does not take the parameters.
    """
    with create_session() as session:
        model = DagModel.get_current(dag_id, session=session)
        if model is None or model.is_stale or model.has_import_errors:
            raise TriggerRefusedError(f"Airflow has no DAG {dag_id} that can run now: look at its import errors.")
        paused = bool(model.is_paused)
    try:
        run = trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.UI, triggering_user_name=person, conf=dict(params))
    except (AirflowException, ValueError) as error:
        raise TriggerRefusedError(str(error)) from error
    if run is None:
        raise TriggerRefusedError(f"Airflow started no run of {dag_id}.")
    note("operations_trigger", dag_id, person, {"run_id": run.run_id, "conf": dict(params)})
    return run.run_id, paused


def note(event: str, dag_id: str, person: str, detail: Mapping[str, Any]) -> None:
    """Add an entry to Airflow's audit log."""
    extra = json.dumps(detail, ensure_ascii=False)
    with create_session() as session:
        session.add(Log(event, owner=person, dag_id=dag_id, run_id=detail.get("run_id"), extra=extra))


def page_secret() -> bytes:
    """Return the key that all API servers of this Airflow share."""
    return conf.get_mandatory_value("api", "secret_key").encode()
