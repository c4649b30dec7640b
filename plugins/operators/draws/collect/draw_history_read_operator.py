"""Reads one piece of the feed's history into the source table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from hooks.draw_feed_hook import DrawFeedHook
from hooks.recorded_poll import task_poll


class DrawHistoryReadOperator(BaseOperator):
    """Write what the feed's history holds of a piece: valid draws, quarantined rows, and one log row.

    Repeatable: what is stored already is not stored again. A page that is unusable fails the task with a
    `drawsguard.draws.collect.feed.FeedError`, after all other pages were written.

    It remembers the older days with `hooks.asset_memory.DRAWS` among its inlets. They are the DAG's: a mapped task is
    built with all its arguments named, and could not take another value for one.

    :param piece: ``{"from", "to"}``, ISO 8601 (templated).
    """

    template_fields: Sequence[str] = ("piece",)
    ui_color = "#d9ead3"

    def __init__(self, *, piece: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.piece = piece

    def execute(self, context: Any) -> dict[str, int]:
        """Return how many rows were received, inserted and quarantined."""
        window = Window(datetime.fromisoformat(self.piece["from"]), datetime.fromisoformat(self.piece["to"]))
        with task_poll(self, context, "history") as poll:
            poll.write(DrawFeedHook(get_settings().draw_feed_conn_id).history(window.start, window.end))
        counts = {"received": poll.received, "inserted": poll.inserted, "quarantined": poll.quarantined}
        self.log.info("%s: %s", window, counts)
        return counts
