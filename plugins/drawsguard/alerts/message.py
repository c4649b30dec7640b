"""What an alert says: title and body from include/templates/alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from drawsguard.alerts.state import Alert, Message
from drawsguard.links import runbook_link
from drawsguard.monitoring.checks import Checks
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import Settings
from drawsguard.templates import render_template

#: Alerts whose mail, with more detail than a chat message can hold, is sent by the task that detects them.
MAILED = ("sla:", "points:")


@dataclass(frozen=True)
class Text:
    """A message ready to be sent.

    ``team`` is the team that it concerns, None for everybody. ``chat_only`` skips mail, because one was sent already.
    """

    title: str
    body: str
    priority: Priority
    team: str | None = None
    chat_only: bool = False

    @property
    def audience(self) -> tuple[str | None, bool]:
        """Texts of one audience may be sent as one."""
        return self.team, self.chat_only


def compose(message: Message, alert: Alert, checks: Checks, settings: Settings, now: datetime, team: str) -> Text:
    """Return what is sent about one alert: what, since when, how bad, first step, links.

    :param team: the team that it concerns.
    :param now: the time that durations are counted to (aware).
    """
    check = checks.of_key(alert.key)
    zone = ZoneInfo(settings.business_timezone)
    values = {
        "alert": alert,
        "check": check,
        "since": alert.fired_at.astimezone(zone),
        "minutes": round(((alert.resolved_at or now) - alert.fired_at).total_seconds() / 60),
        "runbook": runbook_link(check.runbook if check else _runbook_of(alert.key), settings),
        "ui": f"{settings.ui_base_url}/dags/{_dag_of(alert.key)}",
        "acknowledge": f"{settings.ui_base_url}/dags/alert_acknowledge",
    }
    title = render_template(f"alerts/{message.value}.title.txt", **values).strip()
    body = render_template(f"alerts/{message.value}.txt", **values).strip()
    return Text(title, body, alert.priority, team, chat_only=alert.key.startswith(MAILED))


def compose_bundle(texts: Sequence[Text]) -> Text:
    """Return one message instead of many to one audience: a flood would be refused, and read by nobody."""
    if len(texts) == 1:
        return texts[0]
    title = render_template("alerts/bundle.title.txt", texts=texts).strip()
    body = render_template("alerts/bundle.txt", texts=texts).strip()
    return Text(title, body, min(text.priority for text in texts), *texts[0].audience)


def compose_digest(alerts: Sequence[Alert], settings: Settings, now: datetime) -> Text:
    """Return the daily digest: what is open, and what was resolved since yesterday."""
    values = {
        "open": [alert for alert in alerts if alert.open],
        "closed": [alert for alert in alerts if not alert.open],
        "now": now.astimezone(ZoneInfo(settings.business_timezone)),
        "runbooks": settings.runbook_base_url,
    }
    title = render_template("alerts/digest.title.txt", **values).strip()
    return Text(title, render_template("alerts/digest.txt", **values).strip(), Priority.P2)


def _runbook_of(key: str) -> str:
    pages = {
        "task": "task-failed",
        "sla": "deadline-missed",
        "monitor": "monitor-silent",
        "points": "points-observe",
    }
    return pages.get(key.split(":", 1)[0], "index")


def _dag_of(key: str) -> str:
    kind, _, rest = key.partition(":")
    return rest.split(".", 1)[0] if kind in ("task", "sla", "points") else "monitoring_checks"
