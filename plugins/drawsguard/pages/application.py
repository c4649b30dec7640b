"""The pages as a web application: each group of routes, and what holds for all of them.

What is done is done by DAGs: an action of a page starts a run as the person who is signed in, under the DAG's own right
to be triggered, and whatever needs the one approval asks for it there. Beside that a workbook that was checked is kept.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from drawsguard.pages.alerts_routes import alerts_routes
from drawsguard.pages.answers import add_problem_pages, base_of, with_headers
from drawsguard.pages.cache import SharedReadings
from drawsguard.pages.catalogue import PAGES
from drawsguard.pages.draws_routes import draws_routes
from drawsguard.pages.files_routes import files_routes
from drawsguard.pages.identity_routes import identity_routes
from drawsguard.pages.look import STATIC
from drawsguard.pages.points_routes import points_routes
from drawsguard.pages.site import Deeds, Rights, Site, Sources

_GROUPS = (points_routes, draws_routes, alerts_routes, identity_routes, files_routes)


def operations_app(sources: Sources, rights: Rights, deeds: Deeds, readings: SharedReadings | None = None) -> FastAPI:
    """Return the application.

    :param readings: what viewers share; a new one unless passed.
    """
    site = Site(sources, rights, deeds, readings or SharedReadings())
    app = FastAPI(title="operations", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.middleware("http")(with_headers)
    add_problem_pages(app)

    @app.get("/", include_in_schema=False)
    def first(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{base_of(request)}/{PAGES[0].path}")

    for group in _GROUPS:
        app.include_router(group(site))
    return app
