"""What an alert says: title, text and mail from include/templates/alerts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drawsguard.alerts.config import AlertConfig
from drawsguard.alerts.signals import MAIL_SENT
from drawsguard.alerts.state import Alert, Message
from drawsguard.links import runbook_link
from drawsguard.monitoring.checks import Checks, Explained
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import Settings
from drawsguard.templates import render_template

#: Alerts whose mail, with more detail than a chat message can hold, is sent by the task that detects them. Whether it
#: was accepted stands in the signal.
MAILED = ("sla:", "points:")


@dataclass(frozen=True)
class Text:
    """A message ready to be sent.

    ``team`` is the team that it concerns, None for everybody. ``chat_only`` skips mail, because one was sent already.
    ``html`` is its page for mail; ``escalated`` adds the second recipient.
    """

    title: str
    body: str
    priority: Priority
    team: str | None = None
    chat_only: bool = False
    html: str = ""
    escalated: bool = False

    @property
    def audience(self) -> tuple[Priority, str | None, bool, bool]:
        """Texts of one audience may be sent as one: whatever channels choose by is the same for all of them."""
        return self.priority, self.team, self.chat_only, self.escalated


def compose(
    message: Message, alert: Alert, checks: Checks, config: AlertConfig, settings: Settings, now: datetime
) -> Text:
    """Return what is sent about one alert: what, how bad, since when, what it means, what to do first, links.

    :param now: the time that durations are counted to (aware).
    """
    about = checks.of_key(alert.key) or config.kind_of(alert.key)
    reminder = message in (Message.REMINDER, Message.ESCALATION)
    values: dict[str, Any] = {
        "alert": alert,
        "about": about,
        "where": where_of(alert.key),
        "reminder": alert.reminders + 1 if reminder else 0,
        "escalation": message is Message.ESCALATION,
        # A clock ahead may have stamped its beginning.
        "lasted": max(0.0, ((alert.resolved_at or now) - alert.fired_at).total_seconds()),
        "runbook": runbook_link(about.runbook, settings),
        "runs": f"{settings.ui_base_url}/dags/{dag_of(about, alert.key)}",
        "run": _run_in(alert.detail, settings),
        "ui": settings.ui_base_url,
    }
    name = "recovery" if message is Message.RECOVERY else "firing"
    return Text(
        render_template(f"alerts/{name}.title.txt", **values).strip(),
        render_template(f"alerts/{name}.txt", **values).strip(),
        alert.priority,
        config.team_of(alert.key),
        # Only the first message was mailed already, if the mail was accepted.
        chat_only=alert.key.startswith(MAILED) and message is Message.FIRING and MAIL_SENT in alert.detail,
        html=render_template(f"alerts/{name}.html", **values),
        # Those who were called learn that it is over.
        escalated=message is Message.ESCALATION or (message is Message.RECOVERY and alert.escalated),
    )


def compose_bundle(texts: Sequence[Text]) -> Text:
    """Return one message instead of many to one audience: a flood would be refused, and read by nobody."""
    if len(texts) == 1:
        return texts[0]
    first = texts[0]
    return Text(
        render_template("alerts/bundle.title.txt", texts=texts).strip(),
        render_template("alerts/bundle.txt", texts=texts).strip(),
        first.priority,
        first.team,
        first.chat_only,
        render_template("alerts/bundle.html", texts=texts, priority=first.priority),
        first.escalated,
    )


def compose_digest(alerts: Sequence[Alert], settings: Settings, now: datetime) -> Text:
    """Return the daily digest: what is open, and what was resolved since yesterday."""
    values = {
        "open": [alert for alert in alerts if alert.open],
        "closed": [alert for alert in alerts if not alert.open],
        "now": now,
        "ui": settings.ui_base_url,
        "runbook": runbook_link("index", settings),
    }
    return Text(
        render_template("alerts/digest.title.txt", **values).strip(),
        render_template("alerts/digest.txt", **values).strip(),
        Priority.P2,
        html=render_template("alerts/digest.html", **values),
    )


def dag_of(about: Explained, key: str) -> str:
    """Return the DAG whose runs an alert leads to: the one that its kind names, else its own."""
    return about.dag or where_of(key).split(".", 1)[0]


def where_of(key: str) -> str:
    """Return the part of a key that says where: a check's subject, a task, a DAG, a batch, a view."""
    kind, _, rest = key.partition(":")
    if kind == "check":
        return rest.partition(":")[2] or rest
    return rest.removeprefix("points_observe.") if kind == "points" else rest or key


def _run_in(detail: str, settings: Settings) -> str:
    """Return the address of a run or log of this Airflow that a signal's detail names; empty when it names none."""
    found = re.findall(re.escape(f"{settings.ui_base_url}/dags/") + r"[^\s<>\"]+", detail)
    return found[-1] if found else ""
