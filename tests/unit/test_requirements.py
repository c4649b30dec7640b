"""What the lock installs works together where Airflow itself would only notice in production."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "airflow.providers.celery.executors.celery_executor",
        "airflow.providers.celery.executors.default_celery",
        "airflow.providers.cncf.kubernetes.executors.kubernetes_executor",
        "airflow.providers.redis.hooks.redis",
        "airflow.providers.apprise.hooks.apprise",
        "psycopg2",
        "airflow.providers.keycloak.auth_manager.keycloak_auth_manager",
        "airflow.providers.fab.auth_manager.fab_auth_manager",
        "authlib.integrations.flask_client",
        "gcsfs",
    ],
)
def test_what_only_production_loads_can_be_imported(module: str) -> None:
    assert importlib.import_module(module)
