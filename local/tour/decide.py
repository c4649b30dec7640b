"""A button beside each review workbook of the files page: the workbook as the golden case's reviewers filled it in.

Registered with Airflow in the embedded stack only: by the folder ``entry``, which Config puts on the path of Airflow's
processes there. The production image holds neither. Nothing is decided by it: whoever presses it gets a file, and
uploads it like one that people filled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drawsguard.artifacts import ArtifactNameError, NoSuchArtifactError
from drawsguard.pages.answers import PREFIX
from drawsguard.pages.artifact_store import Artifacts
from drawsguard.pages.catalogue import BY_PATH
from drawsguard.pages.files_view import media_type
from local.golden.dataset import build
from local.golden.load import confirm

#: Where the plugin is mounted.
TOUR = "/tour"
_FILES = f"{PREFIX}/files"
#: The link of a review workbook, as the files page writes it.
_WORKBOOK = re.compile(
    r'<a href="[^"]*/files/workbooks\?name=([A-Za-z0-9_-]{1,40})%2Freview-\1\.xlsx" download>[^<]*</a>'
)
_LABEL = "按标准答案填写并下载 Decide as the golden case"


@lru_cache(maxsize=1)
def golden_points() -> tuple[int, ...]:
    """The points that the reviewers of the golden case take offline."""
    return tuple(build().confirmed)


def with_buttons(page: str) -> str:
    """Return the files page with a button beside each review workbook."""

    def beside(found: re.Match[str]) -> str:
        address = f"{TOUR}/decided.xlsx?batch={quote(found[1])}"
        return f'{found[0]} <a class="button" href="{address}" download>{_LABEL}</a>'

    return _WORKBOOK.sub(beside, page)


class Buttons:
    """Adds the buttons to the files page on its way out of the API server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; the files page with its buttons."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != _FILES:
            await self.app(scope, receive, send)
            return
        # What is to be changed has to come as text.
        scope = {**scope, "headers": [one for one in scope["headers"] if one[0] != b"accept-encoding"]}
        began: Message = {}
        pieces: list[bytes] = []

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                began.update(message)
                return
            pieces.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(pieces)
            if (b"content-type", b"text/html; charset=utf-8") in began["headers"]:
                body = with_buttons(body.decode()).encode()
            kept = [header for header in began["headers"] if header[0] != b"content-length"]
            await send({**began, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, changed)


def tour_app(
    artifacts: Callable[[], Artifacts], user: Callable[..., Any], readers: Sequence[Callable[..., Any]] = ()
) -> FastAPI:
    """Return the application that fills in workbooks.

    :param artifacts: the store that holds them.
    :param user: a dependency that returns who is signed in, with ``get_name()``, and refuses everybody else (401).
    :param readers: dependencies that let pass who may see the files page, and refuse everybody else (403).
    """
    signed_in = Depends(user)
    may_read = [Depends(one) for one in readers]
    app = FastAPI(title="tour", docs_url=None, redoc_url=None, openapi_url=None, dependencies=may_read)

    @app.get("/decided.xlsx")
    def decided(batch: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,40}$")], reviewer: Any = signed_in) -> Response:
        store = artifacts()
        with store.drafts() as folder:
            review, confirmed = Path(folder) / "review.xlsx", Path(folder) / "confirmed.xlsx"
            try:
                review.write_bytes(b"".join(store.stream(f"{batch}/review-{batch}.xlsx")))
            except (NoSuchArtifactError, ArtifactNameError) as error:
                raise HTTPException(404, "there is no such workbook") from error
            confirm(review, confirmed, golden_points(), reviewer.get_name())
            content = confirmed.read_bytes()
        name = f"confirmed-{batch}.xlsx"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(content, media_type=media_type(name), headers=headers)

    return app


def _artifacts() -> Artifacts:
    from hooks import artifacts

    return artifacts


def _mounted() -> FastAPI:
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag

    readers = [requires_access_dag("GET", param_dag_id=dag_id) for dag_id in BY_PATH["files"].dags]
    return tour_app(_artifacts, get_user, readers)


class TourPlugin(AirflowPlugin):
    """Mounts the application, and adds the buttons."""

    name = "drawsguard_tour"
    fastapi_apps = [{"app": _mounted(), "url_prefix": TOUR, "name": "drawsguard tour"}]  # noqa: RUF012
    fastapi_root_middlewares = [  # noqa: RUF012 - the plugin interface
        {"middleware": Buttons, "args": [], "kwargs": {}, "name": "drawsguard tour buttons"}
    ]
