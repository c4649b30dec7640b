"""Who may do what with which DAG: the one table of roles, enforced by FAB's auth manager.

``dag_policy`` (plugins/airflow_local_settings.py) gives each DAG its part; FAB turns that into permissions whenever the
DAG is parsed. The roles themselves come from ``[fab] custom_roles``: ``python plugins/drawsguard/access.py`` prints the
value. docs/auth.md explains the roles and what other auth managers make of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Literal

Act = Literal["trigger", "operate", "answer"]

#: What a role may do beyond one DAG, as FAB's pairs of action and resource. Reading is FAB's own role Viewer, which
#: everybody has. None may delete runs or write XComs.
_OPERATE = (("can_edit", "DAG Runs"), ("can_edit", "Task Instances"))
_ANSWER = (("can_edit", "HITL Detail"), ("menu_access", "HITL Detail"))
#: Without it Airflow's navigation has no page of a plugin (health, preflight, operations); FAB's Viewer lacks it.
_PAGES = (("can_read", "Plugins"),)
ROLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    # Routine work: trigger, clear and repeat; ask for what somebody else has to approve.
    "draws_operator": (*_OPERATE, *_PAGES),
    "points_operator": (*_OPERATE, *_PAGES),
    # Answer what others asked for.
    "draws_approver": (*_ANSWER, *_PAGES),
    "points_approver": (*_ANSWER, *_PAGES),
    # Change schemas, move a history, overrule a limit.
    "draws_admin": (*_OPERATE, *_PAGES),
    "points_admin": (*_OPERATE, *_PAGES),
    # Silence alerts, of any priority.
    "duty_manager": _PAGES,
}

#: FAB's permissions on one DAG for each act. Clearing and marking tasks (``operate``) and answering need the same one;
#: the global permissions above tell them apart. A new run needs one of its own.
_EDIT = {"DAGs": {"can_read", "can_edit"}}
_PERMISSIONS: Mapping[Act, Mapping[str, Collection[str]]] = {
    "trigger": _EDIT | {"DAG Runs": {"can_read", "can_create"}},
    "operate": _EDIT,
    "answer": _EDIT,
}

_DRAWS: Mapping[str, Act] = {"draws_operator": "trigger", "draws_admin": "trigger"}
_POINTS: Mapping[str, Act] = {"points_operator": "trigger", "points_admin": "trigger"}
_DRAWS_APPROVED: Mapping[str, Act] = {**_DRAWS, "draws_approver": "answer"}
_POINTS_APPROVED: Mapping[str, Act] = {**_POINTS, "points_approver": "answer"}

#: DAG id → role → the most that the role may do with it. A role that is not named may look at the DAG.
ACCESS: Mapping[str, Mapping[str, Act]] = {
    # Draws
    "draw_collect": _DRAWS,
    "draw_history": _DRAWS,
    "draw_history_migration": {"draws_admin": "trigger", "draws_approver": "answer"},
    "draw_news": _DRAWS,
    "draw_reconcile": _DRAWS,
    "draw_repair": _DRAWS,
    "draw_sync": _DRAWS,
    "draw_sync_replay": _DRAWS,
    "feature_refresh": _DRAWS,
    "feature_review": _DRAWS,
    # Operations
    "alert_acknowledge": {**_DRAWS, **_POINTS, "duty_manager": "trigger"},
    "alert_digest": {**_DRAWS, **_POINTS},
    "alert_mute": {"duty_manager": "trigger"},
    "alert_resolve": {"draws_admin": "trigger", "points_admin": "trigger", "duty_manager": "trigger"},
    "daily_inspection": _DRAWS,
    "heartbeat": _DRAWS,
    "monitoring_checks": _DRAWS,
    "monthly_slo": _DRAWS,
    "oidc_checks": _DRAWS,
    "oidc_repair": _DRAWS_APPROVED,
    # Its test messages reach every channel, and its report names hosts and accounts.
    "preflight": {"draws_admin": "trigger", "points_admin": "trigger"},
    "warehouse_schema": {"draws_admin": "trigger"},
    "weekly_audit": _DRAWS,
    # Points
    "points_cleanup": _POINTS_APPROVED,
    "points_downline": _POINTS_APPROVED,
    "points_hive_aggregation": _POINTS,
    "points_hive_daily": _POINTS,
    "points_lifetime_report": _POINTS,
    "points_observe": _POINTS,
    # A run by hand may overrule the limits of the push; clearing a failed run may not.
    "points_push": {"points_operator": "operate", "points_admin": "trigger"},
    "points_release": _POINTS_APPROVED,
    "points_restore": _POINTS_APPROVED,
    "points_schema": {"points_admin": "trigger"},
    "points_ticket_done": _POINTS,
    "points_usage_report": _POINTS,
}


def access_for(dag_id: str) -> dict[str, dict[str, set[str]]]:
    """Return a DAG's ``access_control``: role → resource → actions.

    :raises KeyError: for a DAG that is not in the table.
    """
    return {
        role: {resource: set(actions) for resource, actions in _PERMISSIONS[act].items()}
        for role, act in ACCESS[dag_id].items()
    }


def may(role: str, act: Act, dag_id: str) -> bool:
    """Whether the table lets ``role`` do ``act``; whoever may trigger a DAG may also clear its tasks."""
    given = ACCESS[dag_id].get(role)
    return given == act or (act == "operate" and given == "trigger")


def custom_roles() -> str:
    """Return the roles as ``[fab] custom_roles`` wants them (JSON)."""
    return json.dumps(
        {
            role: [{"action": action, "resource": resource} for action, resource in permissions]
            for role, permissions in ROLES.items()
        }
    )


if __name__ == "__main__":
    print(custom_roles())  # noqa: T201 - this is what it is for
