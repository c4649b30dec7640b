"""What is asked of the log of the services: what their view counts, and nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from drawsguard.monitoring.news import ServiceError
from drawsguard.sql import SQL_ROOT
from hooks.free_evidence import FreeEvidence

AT = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)


class Log:
    """Cloud Logging with one entry; keeps what it was asked for."""

    def __init__(self) -> None:
        self.filters: list[str] = []

    def call(self, _method: str, _url: str, body: dict[str, Any]) -> Any:
        self.filters.append(body["filter"])
        entry = {"insertId": "a", "resource": {"labels": {"service_name": "collector"}}, "timestamp": AT.isoformat()}
        return SimpleNamespace(status=200, body={"entries": [entry]}, error="")


def test_calls_of_health_are_left_out_as_in_the_view() -> None:
    log = Log()
    errors = FreeEvidence(None, log).service_errors(AT, frozenset({"collector", "b"}))  # type: ignore[arg-type]
    assert errors == {"a": ServiceError("collector", AT)}
    view = (SQL_ROOT / "bigquery" / "schema" / "R__350_cloudrun_invocation_v.sql").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"NOT REGEXP_CONTAINS\(r\.httpRequest\.requestUrl, r'([^']+)'\)", view)
    assert f'NOT httpRequest.requestUrl=~"{pattern}"' in log.filters[0]


def test_only_the_services_of_the_view_are_asked_for() -> None:
    log = Log()
    FreeEvidence(None, log).service_errors(AT, frozenset({"collector", "b"}))  # type: ignore[arg-type]
    assert ' AND resource.labels.service_name=("b" OR "collector") AND ' in log.filters[0]
    assert FreeEvidence(None, log).service_errors(AT, frozenset()) == {}  # type: ignore[arg-type]
    assert len(log.filters) == 1, "an empty list of names would be refused"
