"""The BigQuery client of the warehouse."""

from __future__ import annotations

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings


def warehouse_client() -> Client:
    """Return a client of the project and location in the settings, with the credentials of the Google connection."""
    settings = get_settings()
    hook = BigQueryHook(gcp_conn_id=settings.google_conn_id, location=settings.location, use_legacy_sql=False)
    return hook.get_client(project_id=settings.project, location=settings.location)
