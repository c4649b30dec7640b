"""The routes of the alerts: the page, and what a person does with an alert, each by the DAG that does it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from drawsguard.access import ACCESS
from drawsguard.alerts.config import load_alert_config
from drawsguard.monitoring.checks import load_checks
from drawsguard.override import SHORTEST_REASON, check_reason
from drawsguard.pages import alerts_view
from drawsguard.pages.answers import page_answer, started_answer
from drawsguard.pages.cache import Part
from drawsguard.pages.forms import form_of, text_of, token_of
from drawsguard.pages.site import Person, Site
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from drawsguard.warehouse.table_facts import newest_change


class Action(NamedTuple):
    """What a person may do with an alert.

    :param note: the parameter of the DAG that takes what the person wrote.
    :param reason: whether that has to explain it.
    """

    name: str
    dag_id: str
    note: str
    reason: bool


ACTIONS = tuple(
    action
    for action in (
        Action("acknowledge", "alert_acknowledge", "note", False),
        Action("mute", "alert_mute", "reason", True),
        Action("resolve", "alert_resolve", "reason", True),
    )
    if action.dag_id in ACCESS
)
#: Characters of what a person writes.
LONGEST_NOTE = 1000
_LONGEST_KEY = 500


class WrongFormError(RefusedError, ValueError):
    """What was filled in cannot be done; nothing was started."""


def params_of(action: Action, key: str, note: str, hours: str) -> dict[str, Any]:
    """Return the parameters of the DAG's run for what was filled in.

    :param hours: length of a mute; 0 ends one.
    :raises RefusedError: when the DAG would refuse it anyway.
    """
    if not key or len(key) > _LONGEST_KEY:
        raise WrongFormError("没有告警编号。The key of the alert is missing.")
    if len(note) > LONGEST_NOTE:
        raise WrongFormError(f"最多 {LONGEST_NOTE} 个字符。At most {LONGEST_NOTE} characters.")
    params: dict[str, Any] = {"key": key, action.note: note}
    ends = False
    if action.name == "mute":
        longest = load_alert_config().longest_mute_hours
        try:
            params["hours"] = float(hours)
        except ValueError:
            params["hours"] = -1.0
        if not 0 <= params["hours"] <= longest:
            raise WrongFormError(f"静音 0 到 {longest} 小时。A mute lasts 0 to {longest} hours, not {hours[:20]!r}.")
        ends = params["hours"] == 0
    if action.reason and not ends:
        check_reason(action.name.capitalize(), note)
    return params


def alerts_routes(site: Site) -> APIRouter:
    """Return the routes below ``/alerts``."""
    router = APIRouter()
    signed_in = Depends(site.rights.person)

    @router.get("/alerts", dependencies=site.readers_of("alerts"))
    def alerts(request: Request, person: Person = signed_in) -> HTMLResponse:
        now = datetime.now(UTC)

        def news() -> Any:
            return newest_change(site.sources.warehouse(), [("monitor", "alert_log")])

        part = Part("alerts", "BigQuery", lambda: alerts_view.read_board(site.sources.warehouse(), now), 60, news)
        reading = site.shared.get(part)
        shown = alerts_view.alerts_view(reading.value, load_checks(), load_alert_config(), now)
        may = {action.name for action in ACTIONS if person.may_trigger(action.dag_id)}
        return page_answer(
            request, "alerts", reading.as_of, shown=shown, now=now, runbooks=get_settings().runbook_base_url, may=may,
            token=token_of(site, person) if may else "", shortest=SHORTEST_REASON,
            longest=LONGEST_NOTE, longest_mute=load_alert_config().longest_mute_hours,
        )  # fmt: skip

    for action in ACTIONS:
        _add_action(router, site, action)
    return router


def _add_action(router: APIRouter, site: Site, action: Action) -> None:
    signed_in = Depends(site.rights.person)

    @router.post(f"/alerts/{action.name}", dependencies=site.triggers_of("alerts", action.dag_id))
    async def act(request: Request, person: Person = signed_in) -> HTMLResponse:
        form = await form_of(request, site, person)
        params = params_of(action, text_of(form, "key"), text_of(form, "note"), text_of(form, "hours"))
        started = await run_in_threadpool(site.deeds.trigger, action.dag_id, params, person.name)
        return started_answer(request, "alerts", action.dag_id, started)
