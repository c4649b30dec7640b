"""The routes of the files: download, the check of an uploaded workbook, and the downline that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from drawsguard.artifacts import ArtifactNameError, NoSuchArtifactError, StoredFile
from drawsguard.pages.answers import page_answer, started_answer
from drawsguard.pages.artifact_store import STORE, ask_store
from drawsguard.pages.cache import Part, Reading, SourceUnavailableError, StillReadingError
from drawsguard.pages.catalogue import REPORT_DAGS
from drawsguard.pages.files_view import (
    DEPTH,
    MOST_BYTES,
    MOST_SHOWN,
    Checked,
    Shelves,
    by_folder,
    check_workbook,
    is_kept,
    media_type,
    shelves_of,
)
from drawsguard.pages.forms import form_of, text_of, token_of
from drawsguard.pages.site import Person, Site
from drawsguard.points.downline.repositories import Repositories
from drawsguard.settings import get_settings

#: The DAG that an accepted workbook is for.
DOWNLINE = "points_downline"


def _listed(site: Site) -> Part:
    return Part("files", STORE, lambda: shelves_of(site.sources.artifacts().listing(DEPTH)), 10)


def _shelves(site: Site) -> Shelves:
    """Return the list for a download, which waits: a page that says "one moment" would be saved as the file."""
    try:
        shelves: Shelves = site.shared.get(_listed(site)).value
    except StillReadingError:
        shelves = ask_store(_listed(site).read)
    return shelves


def _files_page(request: Request, site: Site, person: Person, checked: Checked | None = None) -> HTMLResponse:
    part = _listed(site)
    found = site.shared.several([part])[part.key]
    if isinstance(found, SourceUnavailableError) and not checked:
        raise found
    # What was found in a workbook is said also when the files cannot be listed at the moment.
    reading = found if isinstance(found, Reading) else None
    shelves: Shelves | None = reading.value if reading else None
    readable = all(map(person.may_read, REPORT_DAGS))
    may_upload = person.may_trigger(DOWNLINE)
    return page_answer(
        request, "files", reading.as_of if reading else None, 422 if checked and checked.problems else 200,
        known=shelves is not None, folders=by_folder(shelves.workbooks) if shelves else {},
        reports=shelves.reports if shelves and readable else (), left_out=shelves.left_out if shelves else 0,
        root=get_settings().artifact(""), readable=readable, may_upload=may_upload,
        token=token_of(site, person) if may_upload else "", checked=checked,
        most_bytes=MOST_BYTES, most_shown=MOST_SHOWN, dag_id=DOWNLINE, refresh=False if checked else 20,
    )  # fmt: skip


def _download(site: Site, name: str, shelf: Callable[[Shelves], tuple[StoredFile, ...]]) -> Response:
    """Return a file; only what the list shows can be asked for, so no name leads out of the shelf."""
    file = next((one for one in shelf(_shelves(site)) if one.name == name), None)
    if file is None:
        raise HTTPException(404)
    try:
        pieces = ask_store(lambda: site.sources.artifacts().stream(name))
    except (NoSuchArtifactError, ArtifactNameError) as error:  # it is gone, or something else is in its place
        raise HTTPException(404) from error
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.base, safe='')}"}
    return StreamingResponse(pieces, media_type=media_type(file.base), headers=headers)


def files_routes(site: Site) -> APIRouter:
    """Return the routes below ``/files``."""
    router = APIRouter()
    readers, triggers = site.readers_of("files"), site.triggers_of("files", DOWNLINE)
    signed_in = Depends(site.rights.person)
    report_readers = [Depends(site.rights.may_read(dag_id)) for dag_id in REPORT_DAGS]

    @router.get("/files", dependencies=readers)
    def files(request: Request, person: Person = signed_in) -> HTMLResponse:
        return _files_page(request, site, person)

    @router.get("/files/workbooks", dependencies=readers)
    def workbook(name: Annotated[str, Query(max_length=1000)]) -> Response:
        return _download(site, name, lambda shelves: shelves.workbooks)

    @router.get("/files/reports", dependencies=report_readers)
    def report(name: Annotated[str, Query(max_length=1000)]) -> Response:
        return _download(site, name, lambda shelves: shelves.reports)

    @router.post("/files/check", dependencies=triggers)
    async def check(request: Request, person: Person = signed_in) -> HTMLResponse:
        form = await form_of(request, site, person, MOST_BYTES)
        uploaded = form.get("workbook")
        if not isinstance(uploaded, UploadFile) or not uploaded.filename:
            raise HTTPException(422)
        content = await uploaded.read()

        def judge() -> HTMLResponse:
            with site.sources.governance() as connection:
                batches = Repositories(connection).batches
                checked = check_workbook((uploaded.filename or "")[-200:], content, batches, site.sources.artifacts())
            if checked.stored:
                detail = {"workbook": checked.address, "batch": checked.batch_id, "downline": len(checked.rows)}
                site.deeds.note("operations_upload", DOWNLINE, person.name, detail)
            return _files_page(request, site, person, checked)

        return await run_in_threadpool(judge)

    @router.post("/files/downline", dependencies=triggers)
    async def downline(request: Request, person: Person = signed_in) -> HTMLResponse:
        form = await form_of(request, site, person)
        name = text_of(form, "workbook")
        dry_run = text_of(form, "dry_run") != "no"

        def begin() -> HTMLResponse:
            if not is_kept(name, site.sources.artifacts()):
                raise HTTPException(404)
            params = {"workbook": get_settings().artifact(name), "dry_run": dry_run}
            started = site.deeds.trigger(DOWNLINE, params, person.name)
            return started_answer(request, "files", DOWNLINE, started)

        return await run_in_threadpool(begin)

    return router
