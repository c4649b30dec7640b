"""Rights, headers and addresses of the pages, without any source."""

from __future__ import annotations

import hmac
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
from drawsguard.pages.answers import PREFIX
from drawsguard.pages.application import operations_app
from drawsguard.pages.artifact_store import Artifacts
from drawsguard.pages.cache import SharedReadings
from drawsguard.pages.catalogue import PAGES
from drawsguard.pages.site import Deeds, Person, Rights, Sources
from drawsguard.settings import REPOSITORY

#: What may be asked for, besides pages that are listed: the first of them, and style sheet, script and picture.
OPEN = {"/", "/static"}


@contextmanager
def nowhere(*_: str) -> Iterator[Any]:
    raise ConnectionRefusedError
    yield


def no_client() -> Any:
    raise ConnectionRefusedError


def no_artifacts() -> Artifacts:
    raise ConnectionRefusedError


NOWHERE = Sources(nowhere, nowhere, lambda _: [], no_client, lambda _: {}, no_artifacts, lambda _: ())


def nothing_is_done(*_: Any) -> Any:
    raise AssertionError("something was done")


DEEDS = Deeds(nothing_is_done, nothing_is_done, lambda: b"of this test")
Guard = Callable[[str], Callable[..., Any]]


def site(may_read: Guard, may_trigger: Guard | None = None) -> FastAPI:
    someone = Person("someone", lambda _: True, lambda _: True)
    return operations_app(NOWHERE, Rights(may_read, may_trigger or EVERYBODY, lambda: someone), DEEDS)


def pages(may_read: Guard, below: str = "", may_trigger: Guard | None = None) -> TestClient:
    airflow = FastAPI(root_path=below)
    airflow.mount(PREFIX, site(may_read, may_trigger))
    return TestClient(airflow)


def readers_of(*dag_ids: str) -> Guard:
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


def routes() -> Iterator[tuple[str, str]]:
    """Method and path of everything that can be asked for."""
    for route in site(EVERYBODY).routes:
        assert isinstance(route, Route | Mount)
        yield from ((method, route.path) for method in getattr(route, "methods", {"GET"}))


def test_nothing_is_open_but_what_is_listed() -> None:
    for method, path in routes():
        answer = pages(nobody).request(method, f"{PREFIX}{path}")
        assert path in OPEN or answer.status_code == 401, path


#: Every request that does something, and the DAG whose right to be triggered it takes.
ACTIONS = {
    "/alerts/acknowledge": "alert_acknowledge",
    "/alerts/mute": "alert_mute",
    "/files/check": "points_downline",
    "/files/downline": "points_downline",
    "/points/restore": "points_restore",
} | ({"/alerts/resolve": "alert_resolve"} if "alert_resolve" in ACCESS else {})


def test_the_actions_are_those_that_are_listed() -> None:
    assert {path for method, path in routes() if method not in ("GET", "HEAD")} == set(ACTIONS)
    assert {method for method, path in routes() if path in ACTIONS} == {"POST"}


OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(("path", "dag_id"), ACTIONS.items())
def test_an_action_takes_the_right_to_trigger_its_dag_before_a_form_is_read(path: str, dag_id: str) -> None:
    others = readers_of(*set(ACCESS) - {dag_id})
    large = {"Content-Length": str(10**12)} | OURS
    assert pages(EVERYBODY, may_trigger=others).post(f"{PREFIX}{path}", headers=large).status_code == 403
    assert pages(others).post(f"{PREFIX}{path}", headers=large).status_code == 403, "it may not even be read"
    assert pages(EVERYBODY).post(f"{PREFIX}{path}", headers=large).status_code == 413


def form_token(person: str = "someone", age: int = 0, secret: bytes = b"of this test") -> str:
    issued = int(time.time()) - age
    return f"{issued}.{hmac.new(secret, f'operations form|{issued}|{person}'.encode(), 'sha256').hexdigest()}"


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, form_token()),
        ({"Sec-Fetch-Site": "same-site"}, form_token()),
        ({"Sec-Fetch-Site": "none"}, form_token()),
        ({"Origin": "https://elsewhere.example"}, form_token()),
        ({"Origin": "null"}, form_token()),
        ({}, form_token()),
        (OURS, ""),
        (OURS, "1.2"),
        (OURS, "९.x"),
        (OURS, form_token("somebody_else")),
        (OURS, form_token(age=13 * 3600)),
        (OURS, form_token(age=-3600)),
        (OURS, form_token(secret=b"another")),
    ],
    ids=range(13),  # a token holds the time
)  # fmt: skip
def test_a_form_that_no_page_of_ours_showed_to_this_person_does_nothing(
    path: str, headers: dict[str, str], token: str
) -> None:
    fields = {"token": token, "key": "task:a.b", "note": "a reason that explains", "hours": "1", "workbook": "x"}
    answer = pages(EVERYBODY).post(f"{PREFIX}{path}?lang=en", data=fields, headers=headers)
    assert answer.status_code == 403
    assert "The form does not hold" in answer.text


@pytest.mark.parametrize("headers", [OURS, {"Origin": "http://testserver"}, {"Origin": "http://localhost:8080"}])
def test_a_form_of_ours_is_acted_on(headers: dict[str, str]) -> None:
    fields = {"token": form_token(), "key": "task:a.b"}
    with pytest.raises(AssertionError, match="something was done"):
        pages(EVERYBODY).post(f"{PREFIX}/alerts/acknowledge", data=fields, headers=headers)


def test_a_form_without_its_length_is_not_read() -> None:
    answer = pages(EVERYBODY).post(f"{PREFIX}/files/check", content=iter([b"x"]), headers=OURS)
    assert answer.status_code == 413


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

    rights = Rights(EVERYBODY, EVERYBODY, lambda: Person("someone", lambda _: True, lambda _: True))
    app = operations_app(replace(NOWHERE, governance=slow), rights, DEEDS, SharedReadings(patience=0.05))
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
