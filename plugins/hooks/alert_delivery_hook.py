"""Delivery of alerts through Apprise, one channel at a time, so that each channel's answer is known."""

from __future__ import annotations

from typing import Any

import apprise
from airflow.providers.apprise.hooks.apprise import AppriseHook

from drawsguard.alerts.manager import NotTriedError
from drawsguard.alerts.message import Text
from drawsguard.monitoring.observation import Priority
from hooks.alert_channel import deliver, name_of

#: Tag of the second recipient.
ESCALATION = "escalation"

#: Why a channel that hung did not get the further texts of a round.
NOT_AGAIN = "not tried again in this round, since it gave no answer in time"


class AlertDeliveryHook(AppriseHook):
    """The channels of an Apprise connection: ``{"config": [{"path": "tgram://…", "tag": "P0,P1"}, …]}``.

    A channel without a priority among its tags accepts every priority, and without ``team:<name>`` every team's alerts;
    the tag ``mail`` marks channels that are skipped where a mail was sent already, and ``escalation`` the second
    recipient, who gets only what nobody acknowledged. The provider's own ``notify`` drops
    a channel's answer; a lost alert must be visible, so each channel is called separately here. Apprise itself keeps
    to the rate that each service allows.

    An instance serves one round: a channel that gave no answer in time is not tried again by it, so that one that hangs
    costs a round its time once.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Addresses of channels that hung.
        self._hung: set[str] = set()

    def channels(self) -> list[tuple[apprise.NotifyBase, set[str]]]:
        """Return the configured channels with their tags.

        :raises ValueError: when an address of the connection is not one that Apprise knows.
        """
        return [(self._channel(entry), _tags(entry)) for entry in self._entries()]

    def names(self) -> set[str]:
        """Return the names by which `send` speaks of the channels, those with a wrong address among them."""
        found = set()
        for entry in self._entries():
            try:
                found.add(name_of(self._channel(entry)))
            except ValueError as error:
                found.add(str(error).split(": ", 1)[0])
        return found

    def _entries(self) -> list[dict[str, Any]]:
        entries = self.get_config_from_conn(self.get_connection(self.apprise_conn_id))
        return [entries] if isinstance(entries, dict) else list(entries)

    def _channel(self, entry: dict[str, Any]) -> apprise.NotifyBase:
        channel = apprise.Apprise.instantiate(entry["path"])
        if channel is None:
            scheme = entry["path"].split(":", 1)[0]
            raise ValueError(
                f"Connection {self.apprise_conn_id}: Apprise cannot use an address that starts with {scheme}://. "
                "Correct it in the connection's extra; https://github.com/caronc/apprise lists the forms."
            )
        return channel

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        """Send a text to every channel of its priority; return those that took it, and ``name: why`` of the others.

        A channel that refuses, hangs or has a wrong address keeps no other from getting the text.

        :raises NotTriedError: when every channel that the text is for has hung before.
        """
        taken: list[str] = []
        problems: list[str] = []
        mailed, waits = False, 0
        for entry in self._entries():
            tags = _tags(entry)
            if not _addressed(text, tags):
                continue
            if text.chat_only and "mail" in tags:
                mailed = True
                continue
            try:
                channel = self._channel(entry)
            except ValueError as error:
                problems.append(str(error))
                continue
            if entry["path"] in self._hung:
                problem, waits = NOT_AGAIN, waits + 1
            else:
                problem = self._deliver(channel, entry["path"], text)
            if problem:
                problems.append(f"{name_of(channel)}: {problem}")
                self.log.error("Channel %s did not accept %r: %s", name_of(channel), text.title, problem)
            else:
                taken.append(name_of(channel))
        if problems and waits == len(problems) and not taken:
            raise NotTriedError("; ".join(problems))
        if mailed and not taken and not problems:
            return ["mail, when it was detected"], []
        return taken, problems

    def _deliver(self, channel: apprise.NotifyBase, path: str, text: Text) -> str:
        """Return why the channel did not take the text, or nothing; keep that it hung."""
        answer = deliver(channel, text)
        if answer.hung:
            self._hung.add(path)
        return answer.problem


def _tags(entry: dict[str, Any]) -> set[str]:
    return {tag.strip() for tag in (entry.get("tag") or "").split(",") if tag.strip()}


def _addressed(text: Text, tags: set[str]) -> bool:
    """Whether a channel with these tags accepts a text of this priority and team."""
    priorities = tags & {priority.value for priority in Priority}
    teams = {tag for tag in tags if tag.startswith("team:")}
    if ESCALATION in tags and not text.escalated:
        return False
    return (not priorities or text.priority.value in priorities) and (
        not teams or text.team is None or f"team:{text.team}" in teams
    )
