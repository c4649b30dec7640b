"""The route of the identities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from drawsguard.identity.model import load_services
from drawsguard.pages.answers import page_answer
from drawsguard.pages.cache import Part
from drawsguard.pages.identity_view import CHECK_WORDS, IdentityReader, services_of
from drawsguard.pages.parts import read_parts
from drawsguard.pages.site import Site
from drawsguard.settings import get_settings
from drawsguard.warehouse.table_facts import newest_change


def _parts(site: Site, now: datetime) -> list[Part]:
    def of(name: str, *values: Any) -> Callable[[], Any]:
        return lambda: getattr(IdentityReader(site.sources.warehouse()), name)(*values)

    def news(table: str) -> Callable[[], Any]:
        return lambda: newest_change(site.sources.warehouse(), [("monitor", table)])

    return [
        Part("identity checks", "BigQuery", of("checks", now), 60, news("identity_check_log")),
        Part("identity turns", "BigQuery", of("turns", now), 300, news("identity_check_log")),
        Part("identity changes", "BigQuery", of("changes"), 300, news("cloudaudit_googleapis_com_activity")),
        Part("identity repairs", "BigQuery", of("repairs", now), 60, news("operation_audit")),
    ]


def identity_routes(site: Site) -> APIRouter:
    """Return the route ``/identity``."""
    router = APIRouter()

    @router.get("/identity", dependencies=site.readers_of("identity"))
    def identity(request: Request) -> HTMLResponse:
        now = datetime.now(UTC)
        parts = read_parts(site.shared, _parts(site, now))
        checks, repairs = parts.get("identity checks"), parts.get("identity repairs")
        services = None if checks is None else services_of(load_services(), checks, repairs or {}, now)
        return page_answer(
            request, "identity", parts.as_of, parts.status, services=services, repairs=repairs,
            turns=parts.get("identity turns"), changes=parts.get("identity changes"), problems=parts.problems,
            words=CHECK_WORDS, now=now, runbooks=get_settings().runbook_base_url, refresh=parts.refresh,
        )  # fmt: skip

    return router
