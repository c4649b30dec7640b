"""What is asked of the log of the services: what their view counts, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drawsguard.identity.model import Answer
from drawsguard.monitoring.news import ServiceError
from drawsguard.sql import SQL_ROOT
from hooks.free_evidence import MOST_ENTRIES, FreeEvidence
from local.google.logs import Attempt
from local.google.server import ControlPlane

AT = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)


def entry(name: str) -> dict[str, Any]:
    return {"insertId": name, "resource": {"labels": {"service_name": "collector"}}, "timestamp": AT.isoformat()}


ONE = {"entries": [entry("a")]}


class Log:
    """Cloud Logging; keeps what it was asked for.

    :param pages: bodies of its answers, by the token that asks for them; a status in place of a refusal's.
    """

    def __init__(self, pages: Mapping[str | None, Mapping[str, Any] | int] | None = None) -> None:
        self.filters: list[str] = []
        self._pages = pages or {None: ONE}

    def call(self, _method: str, _url: str, body: dict[str, Any]) -> Answer:
        self.filters.append(body["filter"])
        page = self._pages[body.get("pageToken")]
        if isinstance(page, int):
            return Answer(page, {"error": {"message": "Quota exceeded"}}, "Quota")
        return Answer(200, page, json.dumps(page)[:200])


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


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[Log], Mapping[str, ServiceError] | None]:
    """What is found in a log; nothing of an entry may be in our own."""

    def ask(log: Log) -> Mapping[str, ServiceError] | None:
        found = FreeEvidence(None, log).service_errors(AT, frozenset({"collector"}))  # type: ignore[arg-type]
        assert "insertId" not in caplog.text
        return found

    return ask


def test_a_page_without_entries_is_not_the_last_one(
    errors: Callable[[Log], Any], caplog: pytest.LogCaptureFixture
) -> None:
    log = Log({None: {"nextPageToken": "x"}, "x": ONE | {"nextPageToken": "y"}, "y": {"entries": [entry("b")]}})
    assert errors(log) == {name: ServiceError("collector", AT) for name in "ab"}
    assert len(set(log.filters)) == 1
    assert not caplog.records


def test_a_log_without_an_end_cannot_be_read(errors: Callable[[Log], Any], caplog: pytest.LogCaptureFixture) -> None:
    endless = Log({None: {"nextPageToken": "x"}, "x": {"nextPageToken": "x"}})
    assert errors(endless) is None
    assert len(endless.filters) < 10
    many = Log({None: {"entries": [entry(str(n)) for n in range(MOST_ENTRIES)], "nextPageToken": "x"}})
    assert errors(many) is None
    assert len(many.filters) == 1, "more are not told apart"
    assert errors(Log({None: ONE | {"nextPageToken": "x"}, "x": 429})) is None
    assert "HTTP 429 Quota exceeded" in caplog.text


def test_a_slow_search_does_not_hold_the_round_up(
    errors: Callable[[Log], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((0, 11))
    monkeypatch.setattr("hooks.free_evidence.monotonic", lambda: next(seconds))
    slow = Log({None: {"nextPageToken": "x"}})
    assert errors(slow) is None
    assert len(slow.filters) == 1


def test_one_log_is_searched_and_the_stack_answers_the_same(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, "http://127.0.0.1:1")
    plane._errors += [Attempt("job", name, "http://x/run", AT, 503, 1.0) for name in ("collector", "other")]

    class Stack(Log):
        def call(self, method: str, _url: str, body: dict[str, Any]) -> Answer:
            super().call(method, _url, body)
            return Answer(*plane.answer(method, "/v2/entries:list", body, ""))

    log = Stack()
    found = FreeEvidence(None, log).service_errors(AT, frozenset({"collector"}))  # type: ignore[arg-type]
    assert found is not None
    assert list(found.values()) == [ServiceError("collector", AT)]
    assert log.filters[0].startswith('log_id("run.googleapis.com/requests") AND '), "or stdout and stderr are searched"
