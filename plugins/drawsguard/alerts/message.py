"""What an alert says: title and body from include/templates/alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from drawsguard.alerts.lifecycle import Alert, Message, Priority
from drawsguard.monitoring.checks import Checks
from drawsguard.settings import Settings
from drawsguard.templates import render_template


@dataclass(frozen=True)
class Text:
    """A message ready to be sent. ``chat_only`` leaves mail out, where a mail was sent already."""

    title: str
    body: str
    priority: Priority
    chat_only: bool = False


def compose(message: Message, alert: Alert, checks: Checks, settings: Settings, now: datetime) -> Text:
    """Return what is sent about one alert: what, since when, how bad, first step, links.

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
    return Text(title, body, alert.priority, chat_only=alert.key.startswith("task:"))


def compose_bundle(texts: Sequence[Text]) -> Text:
    """Return one message in the place of many: a flood would be refused, and read by nobody."""
    title = render_template("alerts/bundle.title.txt", texts=texts).strip()
    body = render_template("alerts/bundle.txt", texts=texts).strip()
    return Text(title, body, min(text.priority for text in texts))


def compose_digest(alerts: Sequence[Alert], settings: Settings, now: datetime) -> Text:
    """Return the daily digest: what is open, and what came and went since yesterday."""
    values = {
        "open": [alert for alert in alerts if alert.open],
        "closed": [alert for alert in alerts if not alert.open],
        "now": now.astimezone(ZoneInfo(settings.business_timezone)),
        "runbooks": settings.runbook_base_url,
    }
    title = render_template("alerts/digest.title.txt", **values).strip()
    return Text(title, render_template("alerts/digest.txt", **values).strip(), Priority.P2)


def runbook_link(page: str, settings: Settings) -> str:
    """Return the address of the Chinese page of a runbook (it links to the English one)."""
    return f"{settings.runbook_base_url}/zh/{page}.md"


def _runbook_of(key: str) -> str:
    return {"task": "task-failed", "sla": "sync-failing", "monitor": "monitor-silent"}.get(
        key.split(":", 1)[0], "index"
    )


def _dag_of(key: str) -> str:
    kind, _, rest = key.partition(":")
    return rest.split(".", 1)[0] if kind in ("task", "sla") else "monitoring_checks"
