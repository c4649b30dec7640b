"""Rights, headers and addresses of the pages, without any source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from drawsguard.access import ACCESS, ROLES
from drawsguard.pages.application import PAGES, PREFIX, Sources, operations_app
from drawsguard.pages.cache import SharedReadings
from drawsguard.settings import REPOSITORY

#: What may be asked for, besides pages that are listed: the first of them, and style sheet, script and picture.
OPEN = {"/", "/static"}


@contextmanager
def nowhere(*_: str) -> Iterator[Any]:
    raise ConnectionRefusedError
    yield


def no_client() -> Any:
    raise ConnectionRefusedError


NOWHERE = Sources(nowhere, nowhere, lambda _: [], no_client, lambda _: {})


def pages(may_read: Callable[[str], Callable[..., Any]], below: str = "") -> TestClient:
    airflow = FastAPI(root_path=below)
    airflow.mount(PREFIX, operations_app(NOWHERE, may_read))
    return TestClient(airflow)


def readers_of(*dag_ids: str) -> Callable[[str], Callable[..., Any]]:
    """Refuse whoever may not read a DAG, as Airflow does."""

    def may_read(dag_id: str) -> Callable[..., Any]:
        def check() -> None:
            if dag_id not in dag_ids:
                raise HTTPException(403, "Forbidden")

        return check

    return may_read


def nobody(dag_id: str) -> Callable[..., Any]:
    def check() -> None:
        raise HTTPException(401, "Not authenticated")

    return check


EVERYBODY = readers_of(*ACCESS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_takes_the_read_right_of_every_dag_that_it_is_about(page: Any) -> None:
    assert page.dags
    assert set(page.dags) <= set(ACCESS)
    assert pages(nobody).get(f"{PREFIX}/{page.path}").status_code == 401
    for missing in page.dags:
        answer = pages(readers_of(*set(ACCESS) - {missing})).get(f"{PREFIX}/{page.path}?lang=en")
        assert answer.status_code == 403
        assert "You may not see this page" in answer.text
    # Whoever may read them is asked no more; there is only nothing to read from.
    asked = {"point": "point?id=1"}.get(page.path, page.path)
    assert pages(readers_of(*page.dags)).get(f"{PREFIX}/{asked}").status_code == 503


def test_the_documents_list_the_pages_and_their_rights() -> None:
    auth = (REPOSITORY / "docs" / "auth.md").read_text("utf-8")
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    for page in PAGES:
        name = f"| {page.name.zh} {page.name.en} | "
        assert name + ", ".join(f"`{dag_id}`" for dag_id in page.dags) + " |" in auth
        assert name in readme


def test_every_role_finds_the_pages_in_the_navigation() -> None:
    assert [role for role, permissions in ROLES.items() if ("can_read", "Plugins") not in permissions] == []


def test_nothing_is_open_but_what_is_listed_and_nothing_is_written() -> None:
    app = operations_app(NOWHERE, EVERYBODY)
    for route in app.routes:
        assert isinstance(route, Route | Mount)
        if isinstance(route, Route):
            assert route.methods <= {"GET", "HEAD"}, route.path
            assert route.path in OPEN or pages(nobody).get(f"{PREFIX}{route.path}").status_code == 401, route.path
        else:
            assert route.path in OPEN


@pytest.mark.parametrize("path", ["points", "unknown", "static/pages.css"])
def test_every_answer_lets_nothing_in_from_elsewhere(path: str) -> None:
    answer = pages(EVERYBODY).get(f"{PREFIX}/{path}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_first_reading_that_takes_longer_is_said_at_once_and_asked_for_again() -> None:
    stuck = threading.Event()

    @contextmanager
    def slow() -> Iterator[Any]:
        stuck.wait(10)
        yield

    app = operations_app(replace(NOWHERE, governance=slow), EVERYBODY, SharedReadings(patience=0.05))
    begun = time.monotonic()
    answer = TestClient(app).get("/points")
    stuck.set()
    assert time.monotonic() - begun < 5
    assert answer.status_code == 202
    assert 'data-refresh="1"' in answer.text
    assert '<meta http-equiv="refresh" content="1">' in answer.text, "also without a script"


def test_a_person_who_is_not_signed_in_finds_the_way() -> None:
    answer = pages(nobody).get(f"{PREFIX}/points")
    assert "请先登录" in answer.text
    assert 'href="/auth/login"' in answer.text


@pytest.mark.parametrize("base", ["", "/airflow"])
def test_addresses_follow_airflows_own(base: str) -> None:
    text = pages(nobody, base).get(f"{base}{PREFIX}/points").text
    assert f'href="{base}/operations/points"' in text
    assert f'href="{base}/auth/login"' in text
    assert f'src="{base}/operations/static/pages.js?v=' in text


def test_a_hostile_language_is_chinese_and_is_not_kept() -> None:
    answer = pages(EVERYBODY).get(f"{PREFIX}/points?lang=%0d%0aSet-Cookie:x")
    assert '<html lang="zh-CN">' in answer.text
    assert answer.headers["set-cookie"].startswith("operations_language=zh;")
