"""The table of roles: complete, enforced for every DAG where FAB is the auth manager, and valid for FAB."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride as Fab
from airflow.providers.fab.www.security import permissions

import airflow_local_settings
from drawsguard.access import ACCESS, ROLES, access_for, custom_roles, may
from local.config import AUTH_MANAGERS, FAB_ROLES, USERS
from tests.dags.expected import DAGS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "auth.md"


def test_every_dag_is_in_the_table_and_nothing_else() -> None:
    assert set(ACCESS) == set(DAGS)


@pytest.mark.parametrize("dag_id", DAGS)
def test_fab_accepts_the_access_of_the_dag(dag_id: str) -> None:
    access = access_for(dag_id)
    assert access
    assert set(access) <= set(ROLES)
    for resources in access.values():
        for resource, actions in resources.items():
            assert actions <= permissions.RESOURCE_DETAILS_MAP[resource]["actions"]


def test_no_role_has_a_global_permission_that_opens_every_dag() -> None:
    everywhere = {("can_edit", "DAGs"), ("can_create", "DAG Runs"), ("can_delete", "DAG Runs"), ("can_delete", "DAGs")}
    for role, given in ROLES.items():
        assert not everywhere & set(given), role
        assert not {resource for _, resource in given} & {"XComs", "Variables", "Connections", "Pools"}, role
    assert not everywhere & set(Fab.VIEWER_PERMISSIONS)


def test_who_may_do_routine_work_may_not_decide_what_is_kept_apart() -> None:
    for role in ("draws_operator", "points_operator"):
        assert may(role, "trigger", "draw_sync" if role == "draws_operator" else "points_usage_report")
        for dag_id in ("draw_history_migration", "alert_mute", "points_push", "warehouse_schema"):
            assert not may(role, "trigger", dag_id), (role, dag_id)
    assert may("points_operator", "operate", "points_push")
    assert not may("draws_operator", "operate", "alert_mute")


def test_asking_and_answering_are_different_roles() -> None:
    for dag_id, roles in ACCESS.items():
        answering = {role for role, act in roles.items() if act == "answer"}
        assert not answering & {role for role, act in roles.items() if act != "answer"}
        assert not any(may(role, "trigger", dag_id) for role in answering)
    assert {dag_id for dag_id, roles in ACCESS.items() if "answer" in roles.values()} == {
        "draw_history_migration",
        "oidc_repair",
        "points_cleanup",
        "points_downline",
        "points_release",
        "points_restore",
    }


def test_the_roles_are_in_the_form_that_fab_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__FAB__CUSTOM_ROLES", custom_roles())
    read = Fab._get_custom_roles_config(SimpleNamespace())  # type: ignore[arg-type]
    assert {role: set(given) for role, given in read.items()} == {role: set(given) for role, given in ROLES.items()}


@pytest.mark.parametrize(
    ("manager", "dag_id", "expected"),
    [
        (AUTH_MANAGERS["fab"], "draw_sync", access_for("draw_sync")),
        (AUTH_MANAGERS["simple"], "draw_sync", None),
        (AUTH_MANAGERS["fab"], "of_another_team", None),
    ],
)
def test_the_policy_sets_it_for_our_dags_under_fab_only(
    manager: str, dag_id: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    dag = SimpleNamespace(dag_id=dag_id, access_control=None)
    airflow_local_settings.dag_policy(dag)
    assert dag.access_control == expected


def test_airflow_turns_access_into_permissions_by_the_name_of_the_manager() -> None:
    """Airflow's own condition (dag_processing/collection.py); a class of another name would be ignored silently."""
    assert "FabAuthManager" in AUTH_MANAGERS["fab"]


def test_the_embedded_users_have_roles_that_exist() -> None:
    assert set(FAB_ROLES) == set(USERS)
    known = set(ROLES) | {config["role"] for config in Fab.ROLE_CONFIGS}
    assert {role for roles in FAB_ROLES.values() for role in roles} <= known


def test_the_document_shows_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")}
    for dag_id, roles in ACCESS.items():
        assert f"`{dag_id}`" in rows, f"docs/auth.md has no row for {dag_id}"
        cells = [cell.strip() for cell in rows[f"`{dag_id}`"].split("|")[2:5]]
        shown = dict(zip(("trigger", "operate", "answer"), cells, strict=True))
        for act, cell in shown.items():
            assert set(cell.replace("`", "").split(", ")) - {"–"} == {r for r, a in roles.items() if a == act}, dag_id
    assert json.loads(custom_roles()).keys() == ROLES.keys()
