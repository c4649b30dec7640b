"""What the lock installs works together where Airflow itself would only notice in production."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "airflow.providers.celery.executors.celery_executor",
        "airflow.providers.celery.executors.default_celery",
        "airflow.providers.redis.hooks.redis",
        "airflow.providers.apprise.hooks.apprise",
        "psycopg2",
    ],
)
def test_what_only_production_loads_can_be_imported(module: str) -> None:
    assert importlib.import_module(module)
