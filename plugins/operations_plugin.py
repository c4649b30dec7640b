"""Operations pages in Airflow's navigation, at /operations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.plugins_manager import AirflowPlugin

from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.monitoring.dag_state import DagState
from drawsguard.pages.application import PAGES, PREFIX, Sources, operations_app
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


app = operations_app(
    Sources(governance=_governance, environment=_environment, waiting=_waiting, warehouse=_warehouse, dags=_dags),
    lambda dag_id: requires_access_dag("GET", param_dag_id=dag_id),
)


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
