"""How the pages answer: headers, language, and one clear page for each way to fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from drawsguard.pages.cache import SourceUnavailableError, StillReadingError
from drawsguard.pages.catalogue import BY_PATH, PAGES
from drawsguard.pages.forms import ForgedRequestError, TooLargeError
from drawsguard.pages.look import Language, Look, Words
from drawsguard.pages.site import Started
from drawsguard.refusal import RefusedError

#: Where Airflow mounts the pages.
PREFIX = "/operations"
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

_FORGED = (
    Words("表单已失效", "The form does not hold"),
    Words(
        "没有执行任何操作：表单已过期，或请求不是从本页发出的。回到页面，重新填写。",
        "Nothing was done: the form is too old, or no page of ours sent it. Go back and fill in a new form.",
    ),
)
_TOO_LARGE = (
    Words("文件太大", "The file is too large"),
    Words("没有执行任何操作：工作簿最多 32 MiB。", "Nothing was done: a workbook may have 32 MiB."),
)


def base_of(request: Request) -> str:
    """Return the path below which the pages are mounted, without a slash at its end."""
    parts = [part for part in request.scope.get("root_path", "").split("/") if part]
    return "".join(f"/{part}" for part in parts)


def look_of(request: Request) -> Look:
    """Return how to speak to whoever sent the request: as asked for now, or before; else Chinese."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    language: Language = "en" if chosen == "en" else "zh"
    base = base_of(request)
    return Look(language, base, base.removesuffix(PREFIX))


def page_answer(
    request: Request, path: str, as_of: datetime | None, status: int = 200, template: str = "", **values: Any
) -> HTMLResponse:
    """Return a page, made of its template.

    :param template: its name when it is not the page's own.
    :param as_of: how old what it shows is (aware); None: it shows nothing that ages.
    """
    text = look_of(request).render(f"{template or path}.html", page=BY_PATH[path], pages=PAGES, as_of=as_of, **values)
    return HTMLResponse(text, status)


def started_answer(request: Request, path: str, dag_id: str, started: Started) -> HTMLResponse:
    """Return the page that says that a run was started, with the way to it and back to the page."""
    run = f"/dags/{dag_id}/runs/{quote(started.run_id, safe='')}"
    page = BY_PATH[path]
    values = {"page": page, "pages": PAGES, "as_of": None, "refresh": False}
    text = look_of(request).render("started.html", dag_id=dag_id, run=run, paused=started.paused, **values)
    return HTMLResponse(text)


def problem_answer(request: Request, status: int, title: Words, what: Words) -> HTMLResponse:
    """Return the page that says why there is none."""
    text = look_of(request).render(
        "problem.html", page=None, pages=PAGES, as_of=None, status=status, title=title, what=what
    )
    return HTMLResponse(text, status)


async def with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the headers of every answer, and keep the language that was chosen."""
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if chosen := request.query_params.get("lang"):
        response.set_cookie(
            LANGUAGE_COOKIE, "en" if chosen == "en" else "zh", max_age=31_536_000, path=base_of(request) or "/",
            httponly=True, samesite="lax",
        )  # fmt: skip
    return response


def add_problem_pages(app: FastAPI) -> None:
    """Let the application answer each way to fail with a page of its own."""

    @app.exception_handler(RequestValidationError)
    async def incomplete(request: Request, error: RequestValidationError) -> HTMLResponse:  # noqa: ARG001
        return problem_answer(request, 422, *_PROBLEMS[422])

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> HTMLResponse:
        title, what = _PROBLEMS.get(
            error.status_code, (Words(HTTPStatus(error.status_code).phrase, HTTPStatus(error.status_code).phrase),) * 2
        )
        return problem_answer(request, error.status_code, title, what)

    @app.exception_handler(ForgedRequestError)
    async def forged(request: Request, error: ForgedRequestError) -> HTMLResponse:  # noqa: ARG001
        return problem_answer(request, 403, *_FORGED)

    @app.exception_handler(TooLargeError)
    async def too_large(request: Request, error: TooLargeError) -> HTMLResponse:  # noqa: ARG001
        return problem_answer(request, 413, *_TOO_LARGE)

    @app.exception_handler(RefusedError)
    async def not_started(request: Request, error: RefusedError) -> HTMLResponse:
        title = Words("没有执行", "Nothing was done")
        return problem_answer(request, 409, title, Words(f"被拒绝：{error}", f"Refused: {error}"))

    @app.exception_handler(StillReadingError)
    async def reading(request: Request, error: StillReadingError) -> HTMLResponse:
        title = Words("正在读取…", "Being read …")
        what = Words(f"第一次读取 {error.source},马上就好。", f"{error.source} is read for the first time; one moment.")
        return problem_answer(request, 202, title, what)

    @app.exception_handler(SourceUnavailableError)
    async def unavailable(request: Request, error: SourceUnavailableError) -> HTMLResponse:
        return problem_answer(
            request, 503,
            Words(f"{error.source} 没有应答", f"{error.source} does not answer"),
            Words(
                f"原因:{error.reason}。本页会自动重试;详情见 API 服务器日志,处理办法见 DAG preflight。",
                f"Reason: {error.reason}. This page tries again by itself; the log of the API server says more, and "
                "the DAG preflight what to do.",
            ),
        )  # fmt: skip
