"""The plan of a restore as the environment and its journal are now."""

from __future__ import annotations

import json

from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.plan import Plan, PlanRefusedError
from drawsguard.points.downline.restore import plan_restore
from drawsguard.points.environments import as_environment
from hooks import points_databases


def restore_plan(batch_id: str, environment: str, ids: str) -> Plan:
    """Return the restore's current plan.

    :param ids: JSON list of points; an empty one means the whole batch.
    :raises AirflowFailException: when nothing can be planned.
    """
    name = as_environment(environment)
    with points_databases.environment(name) as connection:
        journal = Journal(connection, batch_id, name)
        try:
            return plan_restore(connection, journal, batch_id, name, frozenset(map(int, json.loads(ids))) or None)
        except PlanRefusedError as refusal:
            raise AirflowFailException(str(refusal)) from refusal
