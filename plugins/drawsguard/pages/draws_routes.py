"""The route of the draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from drawsguard.draws.cadence import Cadence
from drawsguard.monitoring.dag_state import DagState
from drawsguard.monitoring.inspection import OBJECTIVE_LATENCY, OBJECTIVE_SUCCESS
from drawsguard.monitoring.known_bill import KnownBill, known_bill
from drawsguard.pages.answers import page_answer
from drawsguard.pages.cache import Part
from drawsguard.pages.completeness import (
    HOUR,
    Completeness,
    HourCell,
    HourRow,
    completeness_of,
    days_of,
    hour_at,
    hour_map,
    hours_of,
    missing_in,
)
from drawsguard.pages.draws_view import (
    DAGS,
    NEWEST_TABLES,
    SHOWN_DRAWS,
    DrawsReader,
    LetterRow,
    Newest,
    Strip,
    deadline_of,
    latency_chart,
    percentile,
    strip_of,
)
from drawsguard.pages.look import business_day
from drawsguard.pages.objectives_view import Kept, failures_by_day, kept_of, latency_by_day
from drawsguard.pages.parts import Problem, read_parts
from drawsguard.pages.site import Site
from drawsguard.settings import get_settings


@dataclass(frozen=True)
class DrawsPage:
    """The parts of the draws page; one that is None has an entry in ``problems``."""

    newest: Newest | None
    strip: Strip | None
    letters: tuple[LetterRow, ...] | None
    complete: Completeness | None
    dags: Mapping[str, DagState] | None
    hours: tuple[HourCell, ...]
    last_hour: HourRow | None
    kept: Kept | None
    bill: KnownBill | None
    problems: Mapping[str, Problem]


def month_of(now: datetime) -> datetime:
    """Return when the business month began (aware)."""
    return datetime.combine(business_day(now).replace(day=1), time.min, ZoneInfo(get_settings().business_timezone))


def _parts(site: Site, now: datetime) -> list[Part]:
    def of(name: str, *values: Any) -> Callable[[], Any]:
        return lambda: getattr(DrawsReader(site.sources.warehouse()), name)(*values)

    return [
        Part("newest", "BigQuery", of("newest", now), 120, of("news", *NEWEST_TABLES)),
        Part("intervals", "BigQuery", of("intervals", now), 60, of("news", ("monitor", "sync_log"))),
        Part("letters", "BigQuery", of("letters", now), 60, of("news", ("monitor", "dead_letters"))),
        Part("hours", "BigQuery", of("hours", business_day(now)), 300, of("news", ("target", "draws"))),
        Part("kept", "BigQuery", of("kept", business_day(now)), 3600),
        Part("bills", "Airflow", partial(site.sources.bills, month_of(now)), 600),
        Part("dags", "Airflow", lambda: site.sources.dags(DAGS), 20),
    ]


def draws_routes(site: Site) -> APIRouter:
    """Return the route ``/draws``."""
    router = APIRouter()

    @router.get("/draws", dependencies=site.readers_of("draws"))
    def draws(request: Request) -> HTMLResponse:
        now = datetime.now(UTC)
        parts = read_parts(site.shared, _parts(site, now))
        letters, intervals, hours, newest = (parts.get(key) for key in ("letters", "intervals", "hours", "newest"))
        replayed = [one.interval_start for one in letters or () if one.status == "replayed"]
        settings = get_settings()
        shown = DrawsPage(
            newest,
            None if intervals is None else strip_of(intervals, replayed, now, deadline_of(settings)),
            letters,
            None if hours is None else completeness_of(days_of(hours), business_day(now)),
            parts.get("dags"),
            tuple(hours_of(hours or (), now)),
            hours[-1] if hours else None,
            None if parts.get("kept") is None else kept_of(parts.get("kept"), now),
            known_bill(parts.get("bills") or (), month_of(now)),
            parts.problems,
        )
        cadence = Cadence.from_settings(settings)
        latencies = newest.latencies() if newest else []
        return page_answer(
            request, "draws", parts.as_of, parts.status, shown=shown, now=now,
            stages=newest.stages(parts.readings["newest"].as_of, cadence) if newest else [],
            maintenance=cadence.in_maintenance(now), p95=percentile(latencies, 0.95) if latencies else None,
            chart=latency_chart(newest.by_hour()) if newest else None, most=SHOWN_DRAWS,
            waiting_letters=[one for one in letters or () if one.status == "waiting"],
            hour_map=hour_map, latency_by_day=latency_by_day, failures_by_day=failures_by_day, today=business_day(now),
            budget_gib=settings.bigquery_budget_gib, objective_latency=OBJECTIVE_LATENCY,
            objective_success=OBJECTIVE_SUCCESS, refresh=parts.refresh,
        )  # fmt: skip

    @router.get("/draws/hour", dependencies=site.readers_of("draws"))
    def hour(request: Request, at: Annotated[str, Query(max_length=40)]) -> HTMLResponse:
        begin = hour_at(at)
        if begin is None:
            raise HTTPException(422)
        read = partial(_draws_between, site, begin - HOUR, begin + HOUR)
        reading = site.shared.get(Part(("hour", begin), "BigQuery", read, 600))
        rows = [one for one in reading.value if one.draw_time >= begin]
        earlier = [one.period for one in reading.value if one.draw_time < begin]
        missing = missing_in(sorted(one.period for one in rows), max(earlier) + 1 if earlier else None)
        return page_answer(
            request, "draws", reading.as_of, template="draws_hour", rows=rows, missing=missing, begin=begin,
            end=begin + HOUR, refresh=False,
        )  # fmt: skip

    return router


def _draws_between(site: Site, since: datetime, until: datetime) -> Any:
    return DrawsReader(site.sources.warehouse()).between(since, until)
