"""The pages as a web application: rights, language, headers, and one clear page for each way to fail.

It reads and never writes: there is no request that changes anything but the reader's language. What is done is done by
DAGs, which the pages link to, under the DAG's own rights and the one approval.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from drawsguard.alerts.config import load_alert_config
from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.dag_state import DagState
from drawsguard.monitoring.inspection import OBJECTIVE_LATENCY, OBJECTIVE_SUCCESS
from drawsguard.pages import alerts_view
from drawsguard.pages.cache import Part, Reading, SharedReadings, SourceUnavailableError, StillReadingError
from drawsguard.pages.draws_view import (
    DAGS,
    NEWEST_TABLES,
    SHOWN_DRAWS,
    Completeness,
    DrawsReader,
    LetterRow,
    Newest,
    Strip,
    completeness_of,
    deadline_of,
    latency_chart,
    percentile,
    strip_of,
)
from drawsguard.pages.look import STATIC, Language, Look, Words, business_day
from drawsguard.pages.point_life import CLASSES, OPERATIONS, Defined, Life, csv_of, read_defined, read_life
from drawsguard.pages.points_board import STAGES, Stage, read_board
from drawsguard.points.environments import ENVIRONMENTS, Environment
from drawsguard.points.telemetry.config import points_config
from drawsguard.settings import get_settings

#: Where Airflow mounts the pages.
PREFIX = "/operations"
#: What a point's id looks like.
_POINT_ID = re.compile(r"^[0-9]{1,18}$")
LANGUAGE_COOKIE = "operations_language"

HEADERS = {
    # Nothing is loaded from elsewhere, and nothing that a value may smuggle in runs; Airflow shows pages in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Sources:
    """Where pages read.

    :param governance: opens a prepared connection to the governance server.
    :param environment: opens one to the server of an environment.
    :param waiting: returns the questions of some DAGs that Airflow waits for.
    :param warehouse: returns a BigQuery client.
    :param dags: returns the states of some DAGs.
    """

    governance: Callable[[], AbstractContextManager[Any]]
    environment: Callable[[Environment], AbstractContextManager[Any]]
    waiting: Callable[[Collection[str]], list[WaitingQuestion]]
    warehouse: Callable[[], Any]
    dags: Callable[[Collection[str]], Mapping[str, DagState]]


@dataclass(frozen=True)
class Page:
    """A page: its place, its name, and the DAGs whose read right it takes."""

    path: str
    name: Words
    dags: tuple[str, ...]


#: The DAGs that ask for approvals of points.
POINTS_QUESTIONS = ("points_downline", "points_restore", "points_release", "points_cleanup")

#: What the pages of the points are about.
_POINTS = (*POINTS_QUESTIONS, "points_usage_report")

PAGES = (
    Page("points", Words("积分", "Points"), _POINTS),
    Page("point", Words("积分生平", "A point's life"), _POINTS),
    Page("draws", Words("抽奖", "Draws"), DAGS),
    Page("alerts", Words("告警", "Alerts"), ("monitoring_checks", "alert_acknowledge", "alert_mute")),
)
BY_PATH: Mapping[str, Page] = {page.path: page for page in PAGES}

#: What a request may be refused for, in words.
_PROBLEMS: Mapping[int, tuple[Words, Words]] = {
    401: (
        Words("请先登录", "Please sign in"),
        Words("登录 Airflow 后再打开本页。", "Sign in to Airflow, then open this page again."),
    ),
    403: (
        Words("没有查看权限", "You may not see this page"),
        Words(
            "本页需要相关 DAG 的读权限。请向管理员申请。",
            "This page needs the right to read the DAGs that it is about. Ask an administrator for it.",
        ),
    ),
    404: (
        Words("没有这一页", "There is no such page"),
        Words("请从上面的导航重新选择。", "Choose a page from the navigation above."),
    ),
    422: (
        Words("地址不完整", "The address is not complete"),
        Words("请从上面的导航重新选择。", "Choose a page from the navigation above."),
    ),
}


@dataclass(frozen=True)
class PointPage:
    """What the page of one point shows; without a life nothing that can be looked up was asked for.

    :param asked: what was asked for, as it was typed.
    :param defined: what each environment says; None for one that does not answer.
    """

    asked: str
    life: Life | None = None
    defined: Mapping[Environment, Defined | None] = field(default_factory=dict)
    as_of: datetime | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known of the point."""
        life = self.life
        rows = any(one and (one.rows or one.tags) for one in self.defined.values())
        return bool(life and (rows or life.usage or life.candidacies))

    @property
    def freed(self) -> int | None:
        """Keys and fields freed; None when no cleanup has it."""
        counts = [int(one.freed) for one in self.life.cleanups if one.freed is not None] if self.life else []
        return sum(counts) if counts else None


def _defined(sources: Sources, name: Environment, point_id: int) -> Defined:
    with sources.environment(name) as connection:
        return read_defined(connection, point_id)


def _life(sources: Sources, point_id: int, tags: tuple[int, ...]) -> Life:
    with sources.governance() as connection:
        return read_life(connection, point_id, tags, points_config().oper_type_pattern)


def operations_app(
    sources: Sources, may_read: Callable[[str], Callable[..., Any]], readings: SharedReadings | None = None
) -> FastAPI:
    """Return the application.

    :param may_read: returns the dependency that lets pass who may read a DAG, and refuses everybody else (401, 403).
    :param readings: what viewers share; a new one unless passed.
    """
    shared = readings or SharedReadings()
    app = FastAPI(title="operations", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.middleware("http")
    async def with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if chosen := request.query_params.get("lang"):
            path = _base(request)
            response.set_cookie(
                LANGUAGE_COOKIE, "en" if chosen == "en" else "zh", max_age=31_536_000, path=path or "/",
                httponly=True, samesite="lax",
            )  # fmt: skip
        return response

    def rights(page: str) -> list[Any]:
        return [Depends(may_read(dag_id)) for dag_id in BY_PATH[page].dags]

    @app.get("/", include_in_schema=False)
    def first(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{_base(request)}/{PAGES[0].path}")

    @app.get("/points", dependencies=rights("points"))
    def points(request: Request) -> HTMLResponse:
        def read() -> Any:
            waiting = sources.waiting(POINTS_QUESTIONS)
            with sources.governance() as connection:
                settings = get_settings()
                return read_board(connection, waiting, points_config().quality, settings.points_window_days)

        reading = shared.get(Part("points", "MySQL", read, 20))
        return _page(request, "points", reading.as_of, shown=reading.value, stages=STAGES, Stage=Stage)

    def life_of(point_id: int) -> PointPage:
        defined: dict[Environment, Defined | None] = {}
        for name in ENVIRONMENTS:
            try:
                read = partial(_defined, sources, name, point_id)
                defined[name] = shared.get(Part(("point", name, point_id), f"MySQL {name}", read, 20)).value
            except StillReadingError:
                raise
            except SourceUnavailableError:
                defined[name] = None
        tags = tuple(sorted({tag.tag_id for known in defined.values() if known for tag in known.tags}))
        reading = shared.get(Part(("life", point_id, tags), "MySQL", partial(_life, sources, point_id, tags), 20))
        return PointPage(str(point_id), reading.value, defined, reading.as_of)

    @app.get("/point", dependencies=rights("point"))
    def point(request: Request, number: Annotated[str, Query(alias="id")] = "") -> HTMLResponse:
        asked = number.strip()
        shown = life_of(int(asked)) if _POINT_ID.fullmatch(asked) else PointPage(asked)
        status = 400 if asked and shown.life is None else 200
        return _page(request, "point", shown.as_of, status, shown=shown, classes=CLASSES, operations=OPERATIONS)

    @app.get("/point.csv", dependencies=rights("point"))
    def point_csv(request: Request, number: Annotated[str, Query(alias="id", pattern=_POINT_ID.pattern)]) -> Response:
        shown = life_of(int(number))
        assert shown.life is not None  # noqa: S101 - for the type: a number was asked for
        text = csv_of(shown.life, shown.defined, look_of(request))
        name = f"attachment; filename=point_{int(number)}.csv"
        return Response(text, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})

    @app.get("/draws", dependencies=rights("draws"))
    def draws(request: Request) -> HTMLResponse:
        return _draws_page(request, shared, sources)

    @app.get("/alerts", dependencies=rights("alerts"))
    def alerts(request: Request) -> HTMLResponse:
        now = datetime.now(UTC)

        def news() -> Any:
            return DrawsReader(sources.warehouse()).news(("monitor", "alert_log"))

        part = Part("alerts", "BigQuery", lambda: alerts_view.read_board(sources.warehouse(), now), 60, news)
        reading = shared.get(part)
        shown = alerts_view.alerts_view(reading.value, load_checks(), load_alert_config(), now)
        runbooks = get_settings().runbook_base_url
        return _page(request, "alerts", reading.as_of, shown=shown, now=now, runbooks=runbooks)

    @app.exception_handler(RequestValidationError)
    async def incomplete(request: Request, error: RequestValidationError) -> HTMLResponse:  # noqa: ARG001
        return _problem(request, 422, *_PROBLEMS[422])

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> HTMLResponse:
        title, what = _PROBLEMS.get(
            error.status_code, (Words(HTTPStatus(error.status_code).phrase, HTTPStatus(error.status_code).phrase),) * 2
        )
        return _problem(request, error.status_code, title, what)

    @app.exception_handler(StillReadingError)
    async def reading(request: Request, error: StillReadingError) -> HTMLResponse:
        title = Words("正在读取…", "Being read …")
        what = Words(f"第一次读取 {error.source},马上就好。", f"{error.source} is read for the first time; one moment.")
        return _problem(request, 202, title, what)

    @app.exception_handler(SourceUnavailableError)
    async def unavailable(request: Request, error: SourceUnavailableError) -> HTMLResponse:
        return _problem(
            request, 503,
            Words(f"{error.source} 没有应答", f"{error.source} does not answer"),
            Words(
                f"原因:{error.reason}。本页会自动重试;详情见 API 服务器日志,处理办法见 DAG preflight。",
                f"Reason: {error.reason}. This page tries again by itself; the log of the API server says more, and "
                "the DAG preflight what to do.",
            ),
        )  # fmt: skip

    return app


def _base(request: Request) -> str:
    """Return the path below which the pages are mounted, without a slash at its end."""
    parts = [part for part in request.scope.get("root_path", "").split("/") if part]
    return "".join(f"/{part}" for part in parts)


def look_of(request: Request) -> Look:
    """Return how to speak to whoever sent the request: as asked for now, or before; else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    language: Language = "en" if chosen == "en" else "zh"
    base = _base(request)
    return Look(language, base, base.removesuffix(PREFIX))


def _page(request: Request, path: str, as_of: datetime | None, status: int = 200, **values: Any) -> HTMLResponse:
    text = look_of(request).render(f"{path}.html", page=BY_PATH[path], pages=PAGES, as_of=as_of, **values)
    return HTMLResponse(text, status)


@dataclass(frozen=True)
class Problem:
    """Why a part of a page is not there.

    :param reading: it is on its way.
    """

    source: str
    reason: str
    reading: bool


@dataclass(frozen=True)
class DrawsPage:
    """The parts of the draws page; one that is None has an entry in ``problems``."""

    newest: Newest | None
    strip: Strip | None
    letters: tuple[LetterRow, ...] | None
    complete: Completeness | None
    dags: Mapping[str, DagState] | None
    problems: Mapping[str, Problem]


def _draws_page(request: Request, shared: SharedReadings, sources: Sources) -> HTMLResponse:
    def of(name: str, *values: Any) -> Callable[[], Any]:
        return lambda: getattr(DrawsReader(sources.warehouse()), name)(*values)

    now = datetime.now(UTC)
    today = business_day(now)
    parts = [
        Part("newest", "BigQuery", of("newest", now), 120, of("news", *NEWEST_TABLES)),
        Part("intervals", "BigQuery", of("intervals", now), 60, of("news", ("monitor", "sync_log"))),
        Part("letters", "BigQuery", of("letters", now), 60, of("news", ("monitor", "dead_letters"))),
        Part("days", "BigQuery", of("days", today), 3600),
        Part("dags", "Airflow", lambda: sources.dags(DAGS), 20),
    ]
    found = shared.several(parts)
    readings = {str(key): one for key, one in found.items() if isinstance(one, Reading)}
    problems = {
        str(key): Problem(one.source, one.reason, isinstance(one, StillReadingError))
        for key, one in found.items()
        if isinstance(one, SourceUnavailableError)
    }
    values = {key: one.value for key, one in readings.items()}
    letters, intervals, days, newest = (values.get(key) for key in ("letters", "intervals", "days", "newest"))
    replayed = [one.interval_start for one in letters or () if one.status == "replayed"]
    settings = get_settings()
    shown = DrawsPage(
        newest,
        None if intervals is None else strip_of(intervals, replayed, now, deadline_of(settings)),
        letters,
        None if days is None else completeness_of(days, today),
        values.get("dags"),
        problems,
    )
    cadence = Cadence.from_settings(settings)
    latencies = newest.latencies() if newest else []
    failed = any(not one.reading for one in problems.values())
    return _page(
        request, "draws", min((one.as_of for one in readings.values()), default=None), 503 if failed else 200,
        shown=shown, now=now, stages=newest.stages(readings["newest"].as_of, cadence) if newest else [],
        maintenance=cadence.in_maintenance(now), p95=percentile(latencies, 0.95) if latencies else None,
        chart=latency_chart(newest.by_hour()) if newest else None, most=SHOWN_DRAWS,
        waiting_letters=[one for one in letters or () if one.status == "waiting"],
        objective_latency=OBJECTIVE_LATENCY, objective_success=OBJECTIVE_SUCCESS,
        refresh=2 if any(one.reading for one in problems.values()) else 20,
    )  # fmt: skip


def _problem(request: Request, status: int, title: Words, what: Words) -> HTMLResponse:
    text = look_of(request).render(
        "problem.html", page=None, pages=PAGES, as_of=None, status=status, title=title, what=what
    )
    return HTMLResponse(text, status)
