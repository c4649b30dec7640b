"""The inspector of identities behind an Airflow connection."""

from __future__ import annotations

from drawsguard.identity.inspector import IdentityInspector
from drawsguard.settings import get_settings
from hooks.google_identity_hook import GoogleIdentityHook


def identity_inspector(gcp_conn_id: str) -> IdentityInspector:
    """Return the inspector that reads the control plane with the connection's credentials."""
    return IdentityInspector(GoogleIdentityHook(gcp_conn_id=gcp_conn_id), get_settings())
