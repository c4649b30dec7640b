"""The routes of the points: the board, a batch and its restore, and a point's life with its export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from drawsguard.approvals.people import ROLE_PREFIX, Approvers
from drawsguard.pages.answers import look_of, page_answer, started_answer
from drawsguard.pages.batch_view import MOST_DIFFERENCES, read_batch
from drawsguard.pages.cache import Part, SourceUnavailableError, StillReadingError
from drawsguard.pages.catalogue import POINTS_QUESTIONS
from drawsguard.pages.forms import form_of, text_of, token_of
from drawsguard.pages.point_life import CLASSES, OPERATIONS, Defined, Life, csv_of, read_defined, read_life
from drawsguard.pages.points_board import STAGES, Stage, read_board
from drawsguard.pages.site import Person, Site, Sources
from drawsguard.points.environments import Environment, environments
from drawsguard.points.telemetry.config import points_config
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings

#: What a point's id looks like.
_POINT_ID = re.compile(r"^[0-9]{1,18}$")
#: The DAG that restores, and what is allowed between the ids that somebody asks it for.
RESTORE = "points_restore"
_BETWEEN = re.compile(r"[\s,;，；、]+")
#: Ids that one form takes; nobody types more, and an empty field is the whole batch.
MOST_IDS = 1000


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


def _point(site: Site, point_id: int) -> PointPage:
    sources, shared = site.sources, site.shared
    defined: dict[Environment, Defined | None] = {}
    for name in environments():
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


def asked_ids(text: str) -> list[int]:
    """Return the point ids that somebody typed, in their order and each once; none means the whole batch.

    :raises RefusedError: when it holds anything else, or too many.
    """
    words = list(dict.fromkeys(word for word in _BETWEEN.split(text) if word))
    wrong = [word for word in words if not (word.isascii() and _POINT_ID.fullmatch(word))]
    if wrong:
        raise RefusedError(f"积分 id 只有数字 a point's id has digits only: {wrong[0][:40]}")
    if len(words) > MOST_IDS:
        raise RefusedError(f"{len(words)} > {MOST_IDS}: 请直接触发 trigger {RESTORE} itself")
    return [int(word) for word in words]


def approvers_beside(name: str) -> str:
    """Return who may approve what somebody asks for, by name and role: nobody approves what they asked for."""
    known = Approvers.parse(get_settings().approvers)
    roles = [f"{ROLE_PREFIX}{role}" for role in known.roles]
    return ", ".join([*(one.name for one in known.people if one.name != name), *roles])


def points_routes(site: Site) -> APIRouter:
    """Return the routes below ``/points`` and ``/point``."""
    router = APIRouter()
    signed_in = Depends(site.rights.person)

    @router.get("/points", dependencies=site.readers_of("points"))
    def points(request: Request) -> HTMLResponse:
        def read() -> Any:
            waiting = site.sources.waiting(POINTS_QUESTIONS)
            with site.sources.governance() as connection:
                settings = get_settings()
                return read_board(connection, waiting, points_config().quality, settings.points_window_days)

        reading = site.shared.get(Part("points", "MySQL", read, 20))
        return page_answer(request, "points", reading.as_of, shown=reading.value, stages=STAGES, Stage=Stage)

    @router.get("/points/batch", dependencies=site.readers_of("points"))
    def batch(
        request: Request, number: Annotated[str, Query(alias="id", max_length=40)], person: Person = signed_in
    ) -> HTMLResponse:
        def read() -> Any:
            with site.sources.governance() as connection:
                return read_batch(connection, number)

        reading = site.shared.get(Part(("batch", number), "MySQL", read, 20))
        shown = reading.value
        status = 200 if shown.groups else 404
        may_restore = person.may_trigger(RESTORE)
        return page_answer(
            request, "points", reading.as_of, status, template="batch", shown=shown, most=MOST_DIFFERENCES,
            may_restore=may_restore, token=token_of(site, person) if may_restore else "", dag_id=RESTORE,
            approvers=approvers_beside(person.name),
        )  # fmt: skip

    @router.post("/points/restore", dependencies=site.triggers_of("points", RESTORE))
    async def restore(request: Request, person: Person = signed_in) -> HTMLResponse:
        form = await form_of(request, site, person)
        number, environment = text_of(form, "batch"), text_of(form, "environment")
        ids = asked_ids(text_of(form, "ids"))
        dry_run = text_of(form, "dry_run") != "no"

        def begin() -> HTMLResponse:
            with site.sources.governance() as connection:
                known = {one.environment for one in read_batch(connection, number).restores if one.back}
            if environment not in known:
                raise HTTPException(404)
            params = {"batch_id": number, "environment": environment, "ids": ids, "dry_run": dry_run}
            return started_answer(request, "points", RESTORE, site.deeds.trigger(RESTORE, params, person.name))

        return await run_in_threadpool(begin)

    @router.get("/point", dependencies=site.readers_of("point"))
    def point(request: Request, number: Annotated[str, Query(alias="id")] = "") -> HTMLResponse:
        asked = number.strip()
        shown = _point(site, int(asked)) if _POINT_ID.fullmatch(asked) else PointPage(asked)
        status = 400 if asked and shown.life is None else 200
        return page_answer(request, "point", shown.as_of, status, shown=shown, classes=CLASSES, operations=OPERATIONS)

    @router.get("/point.csv", dependencies=site.readers_of("point"))
    def point_csv(request: Request, number: Annotated[str, Query(alias="id", pattern=_POINT_ID.pattern)]) -> Response:
        shown = _point(site, int(number))
        assert shown.life is not None  # noqa: S101 - for the type: a number was asked for
        text = csv_of(shown.life, shown.defined, look_of(request))
        name = f"attachment; filename=point_{int(number)}.csv"
        return Response(text, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})

    return router
