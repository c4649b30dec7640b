"""Operations pages in Airflow's navigation, at /operations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.models.dag import DagModel
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends

from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.monitoring.dag_state import DagState
from drawsguard.monitoring.known_bill import BilledPeriod
from drawsguard.pages.answers import PREFIX
from drawsguard.pages.application import operations_app
from drawsguard.pages.artifact_store import Artifacts
from drawsguard.pages.catalogue import PAGES
from drawsguard.pages.site import Deeds, Person, Rights, Sources, Started
from drawsguard.points.environments import Environment

# Hooks are imported when a page is read: this module is loaded by every Airflow process, and only the API server needs
# the providers.


def _governance() -> AbstractContextManager[Any]:
    from hooks.points_databases import governance

    return governance()


def _environment(name: Environment) -> AbstractContextManager[Any]:
    from hooks.points_databases import environment

    return environment(name)


def _waiting(dag_ids: Collection[str]) -> list[WaitingQuestion]:
    from hooks.waiting_questions import waiting_questions

    return waiting_questions(dag_ids)


def _warehouse() -> Any:
    from hooks.warehouse_hook import warehouse_client

    return warehouse_client()


def _dags(dag_ids: Collection[str]) -> Mapping[str, DagState]:
    from hooks.dag_states import dag_states

    return dag_states(dag_ids)


def _artifacts() -> Artifacts:
    from hooks import artifacts

    return artifacts


def _bills(since: datetime) -> Sequence[BilledPeriod]:
    from hooks.known_bills import billed_periods

    return billed_periods(since)


def _person(user: Annotated[BaseUser, Depends(get_user)]) -> Person:
    def may(method: ResourceMethod, entity: DagAccessEntity | None, dag_id: str) -> bool:
        details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
        return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)

    return Person(
        user.get_name(),
        lambda dag_id: may("GET", None, dag_id),
        lambda dag_id: may("POST", DagAccessEntity.RUN, dag_id),
    )


def _trigger(dag_id: str, params: Mapping[str, Any], person: str) -> Started:
    from hooks.page_deeds import trigger_run

    return Started(*trigger_run(dag_id, params, person))


def _note(event: str, dag_id: str, person: str, detail: Mapping[str, Any]) -> None:
    from hooks.page_deeds import note

    note(event, dag_id, person, detail)


def _secret() -> bytes:
    from hooks.page_deeds import page_secret

    return page_secret()


app = operations_app(
    Sources(
        governance=_governance, environment=_environment, waiting=_waiting, warehouse=_warehouse, dags=_dags,
        artifacts=_artifacts, bills=_bills,
    ),
    Rights(
        lambda dag_id: requires_access_dag("GET", param_dag_id=dag_id),
        lambda dag_id: requires_access_dag("POST", DagAccessEntity.RUN, dag_id),
        _person,
    ),
    Deeds(_trigger, _note, _secret),
)  # fmt: skip


class OperationsPlugin(AirflowPlugin):
    """Mounts the pages and links each from the navigation."""

    name = "drawsguard_operations"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "drawsguard operations"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - the plugin interface
        {
            "name": f"{page.name.zh} {page.name.en}",
            "href": f"{PREFIX.removeprefix('/')}/{page.path}",
            "destination": "nav",
            "category": "browse",
            "url_route": f"operations-{page.path}",
        }
        for page in PAGES
    ]
