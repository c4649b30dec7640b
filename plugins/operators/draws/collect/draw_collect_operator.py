"""Reads the draw feed into the source table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator

from drawsguard.draws.collect.continuity import holes
from drawsguard.draws.collect.feed import require_draws
from drawsguard.draws.collect.poll import Poll
from drawsguard.settings import get_settings
from hooks.asset_memory import DRAWS
from hooks.draw_feed_hook import DrawFeedHook
from hooks.recorded_poll import task_poll
from triggers.feed_news_trigger import FeedNewsTrigger

#: How much longer than the pause a task may stay deferred before it has failed.
RESUME_TOLERANCE = timedelta(minutes=1)


class DrawCollectOperator(BaseOperator):
    """Write what the feed answers to the source: valid draws, quarantined rows, and a log row per poll.

    The newest draws are polled. Until `Settings.collect_poll_seconds` have passed the task is then deferred and holds
    neither a worker nor its pool's slot; a trigger watches the feed. Then, or as soon as the feed shows something else,
    they are polled again. Gaps between the newest draws make the first poll read the history. A poll whose answer says
    what the one before it in the run said, and had written, reads and writes no draws.

    A poll that has written draws ends the task, which then emits an event of ``news``. Nothing depends on that event
    but how soon the draws are synced.

    Rows that break a rule are quarantined and the others written. An answer that is unusable as a whole is logged and
    fails the task with a `drawsguard.draws.collect.feed.FeedError`, after what came before it was written.

    :param polls: polls of one run at most.
    :param news: the asset that has changed when draws were written.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#d9ead3"

    def __init__(self, *, polls: int = 2, news: Asset | None = None, **kwargs: Any) -> None:
        # An event of an outlet would be emitted by every run; one of an alias only where it is added.
        self.alias = AssetAlias(f"news of {news.name}") if news else None
        super().__init__(outlets=[self.alias] if self.alias else [], inlets=[DRAWS], **kwargs)
        self.polls = polls
        self.news = news

    def execute(self, context: Any) -> None:
        self.poll_latest(context, poll_number=1)

    def poll_latest(
        self,
        context: Any,
        event: object = None,  # noqa: ARG002
        *,
        poll_number: int = 2,
        written: str | None = None,
    ) -> None:
        """Poll once, and defer until the next poll is due; Airflow resumes here and passes the trigger's ``event``.

        :param poll_number: the poll within the run, from 1. Who resumes without it resumes the second.
        :param written: digest of the answer that the poll before wrote.
        """
        hook = DrawFeedHook(get_settings().draw_feed_conn_id)
        with task_poll(self, context, "latest", poll_number) as poll:
            newest = hook.latest()
            if newest.digest == written:
                poll.skip(newest)
            else:
                poll.write([newest])
            require_draws(newest)
            gaps = list(holes(newest.draws, timedelta(seconds=get_settings().draw_interval_seconds)))
            if gaps and poll_number == 1:
                before, after = gaps[0][0], gaps[-1][1]
                self.log.info("Periods are missing between %s and %s: reading the history", before.period, after.period)
                poll.write(hook.history(before.timestamp, after.timestamp))
        self.log.info("Received %s rows, inserted %s, quarantined %s", poll.received, poll.inserted, poll.quarantined)
        if poll.inserted:
            self._announce(context, poll)
        elif poll_number < self.polls:
            settings = get_settings()
            pause = timedelta(seconds=settings.collect_poll_seconds)
            self.defer(
                trigger=FeedNewsTrigger(
                    settings.draw_feed_conn_id,
                    newest.digest,
                    settings.collect_watch_seconds,
                    datetime.now(UTC) + pause,
                    pause.total_seconds(),
                ),
                method_name="poll_latest",
                kwargs={"poll_number": poll_number + 1, "written": newest.digest},
                timeout=pause + RESUME_TOLERANCE,
            )

    def _announce(self, context: Any, poll: Poll) -> None:
        if self.news and self.alias:
            context["outlet_events"][self.alias].add(self.news, extra={"inserted": poll.inserted})
