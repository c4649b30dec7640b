"""Watches the draw feed for news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from drawsguard.draws.collect.feed import FeedError
from hooks.draw_feed_hook import DrawFeedHook


class FeedNewsTrigger(BaseTrigger):
    """Fires when the feed's newest draws say something else than they did, at the latest when the time is up.

    It writes nothing and judges nothing: the poll that follows reads the feed itself. A look that fails is no news; a
    feed that stays down is reported by that poll.

    The event's payload is whether there is news.

    :param feed_conn_id: see `DrawFeedHook`.
    :param known: digest of the answer that was read last (`Answer.digest`).
    :param every_seconds: pause before each look.
    :param until: when the time is up (aware).
    :param seconds: the time, for a triggerer whose clock is behind that of the worker that set ``until``.
    """

    def __init__(self, feed_conn_id: str, known: str, every_seconds: float, until: datetime, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.feed_conn_id = feed_conn_id
        self.known = known
        self.every_seconds = every_seconds
        self.until = until
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "feed_conn_id": self.feed_conn_id,
                "known": self.known,
                "every_seconds": self.every_seconds,
                "until": self.until,
                "seconds": self.seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        hook = DrawFeedHook(self.feed_conn_id)
        end = monotonic() + self.seconds
        while (left := min((self.until - datetime.now(UTC)).total_seconds(), end - monotonic())) > 0:
            await asyncio.sleep(min(left, self.every_seconds))
            try:
                # In a thread: the event loop serves every other trigger meanwhile.
                answer = await asyncio.to_thread(hook.latest)
            except FeedError as error:
                self.log.info("The feed gives no usable answer: %s", error)
                continue
            if answer.digest != self.known:
                yield TriggerEvent(True)  # type: ignore[no-untyped-call]
                return
        yield TriggerEvent(False)  # type: ignore[no-untyped-call]
