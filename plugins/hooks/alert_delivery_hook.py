"""Delivery of alerts through Apprise, one channel at a time, so that each channel's answer is known."""

from __future__ import annotations

import html
import logging
from typing import Any

import apprise
from airflow.providers.apprise.hooks.apprise import AppriseHook
from apprise.plugins.email import NotifyEmail
from apprise.plugins.telegram import NotifyTelegram

from drawsguard.alerts.message import Text
from drawsguard.mail import subject_line
from drawsguard.monitoring.observation import Priority

#: Tag of the second recipient.
ESCALATION = "escalation"

_KINDS = {
    Priority.P0: apprise.NotifyType.FAILURE,
    Priority.P1: apprise.NotifyType.WARNING,
    Priority.P2: apprise.NotifyType.INFO,
}


class AlertDeliveryHook(AppriseHook):
    """The channels of an Apprise connection: ``{"config": [{"path": "tgram://…", "tag": "P0,P1"}, …]}``.

    A channel without a priority among its tags accepts every priority, and without ``team:<name>`` every team's alerts;
    the tag ``mail`` marks channels that are skipped where a mail was sent already, and ``escalation`` the second
    recipient, who gets only what nobody acknowledged. The provider's own ``notify`` drops
    a channel's answer; a lost alert must be visible, so each channel is called separately here. Apprise itself keeps
    to the rate that each service allows.
    """

    def channels(self) -> list[tuple[apprise.NotifyBase, set[str]]]:
        """Return the configured channels with their tags.

        :raises ValueError: when an address of the connection is not one that Apprise knows.
        """
        entries = self.get_config_from_conn(self.get_connection(self.apprise_conn_id))
        found = []
        for entry in [entries] if isinstance(entries, dict) else entries:
            channel = apprise.Apprise.instantiate(entry["path"])
            if channel is None:
                scheme = entry["path"].split(":", 1)[0]
                raise ValueError(
                    f"Connection {self.apprise_conn_id}: Apprise cannot use an address that starts with {scheme}://. "
                    "Correct it in the connection's extra; https://github.com/caronc/apprise lists the forms."
                )
            found.append((channel, {tag.strip() for tag in (entry.get("tag") or "").split(",") if tag.strip()}))
        return found

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        """Send a text to every channel of its priority; return those that accepted it, and why others did not."""
        taken: list[str] = []
        problems: list[str] = []
        mailed = False
        for channel, tags in self.channels():
            if not _addressed(text, tags):
                continue
            if text.chat_only and "mail" in tags:
                mailed = True
                continue
            name = channel.url(privacy=True).split("?", 1)[0]
            with apprise.LogCapture(level=logging.WARNING) as captured:
                accepted = channel.notify(notify_type=_KINDS[text.priority], **_written_for(channel, text))
                said = captured.getvalue().strip().splitlines()
            if accepted:
                taken.append(name)
            else:
                problems.append(f"{name}: {said[-1] if said else 'refused without a reason'}")
                self.log.error("Channel %s did not accept %r: %s", name, text.title, problems[-1])
        if mailed and not taken and not problems:
            return ["mail, when it was detected"], []
        return taken, problems


def _written_for(channel: apprise.NotifyBase, text: Text) -> dict[str, Any]:
    """Return title, body and format as the channel needs them, so that nothing in them is markup and no line is lost.

    Mail gets the page. Telegram takes HTML, and Apprise's conversion of a text to it loses what looks like a tag, so it
    is escaped here. All others get text.
    """
    if isinstance(channel, NotifyEmail):
        body, form = (text.html, apprise.NotifyFormat.HTML) if text.html else (text.body, apprise.NotifyFormat.TEXT)
        return {"title": subject_line(text.title), "body": body, "body_format": form}
    if isinstance(channel, NotifyTelegram):
        return {"title": html.escape(text.title, quote=False), "body": html.escape(text.body, quote=False)}
    return {"title": text.title, "body": text.body, "body_format": apprise.NotifyFormat.TEXT}


def _addressed(text: Text, tags: set[str]) -> bool:
    """Whether a channel with these tags accepts a text of this priority and team."""
    priorities = tags & {priority.value for priority in Priority}
    teams = {tag for tag in tags if tag.startswith("team:")}
    if ESCALATION in tags and not text.escalated:
        return False
    return (not priorities or text.priority.value in priorities) and (
        not teams or text.team is None or f"team:{text.team}" in teams
    )
