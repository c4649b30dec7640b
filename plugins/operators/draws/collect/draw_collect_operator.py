"""Reads the draw feed into the source table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.collect.continuity import holes
from drawsguard.draws.collect.feed import require_draws
from drawsguard.draws.collect.poll import Poll, recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.window import InvalidRangeError, Window, requested_range
from drawsguard.settings import get_settings
from hooks.draw_feed_hook import DrawFeedHook

#: How much longer than the pause a task may stay deferred before it has failed.
RESUME_TOLERANCE = timedelta(minutes=1)


class DrawCollectOperator(BaseOperator):
    """Write what the feed answers to the source: valid draws, quarantined rows, and a log row per poll.

    With the run's params ``from`` and ``to`` the history of that range is read once. Without them the newest draws are
    polled ``polls`` times, `Settings.collect_poll_seconds` apart; between two polls the task is deferred and holds
    neither a worker nor its pool's slot. Gaps between the newest draws make the first poll read the history. A poll
    whose answer says what the one before it in the run said, and had written, reads and writes no draws.

    Rows that break a rule are quarantined and the others written. An answer that is unusable as a whole is logged and
    fails the task with a `drawsguard.draws.collect.feed.FeedError`, after what came before it was written.

    :param polls: polls of one run.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#d9ead3"

    def __init__(self, *, polls: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.polls = polls

    def execute(self, context: Any) -> None:
        try:
            window = requested_range(context["params"].get("from"), context["params"].get("to"))
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error
        if window is None:
            self.poll_latest(context, poll_number=1)
        else:
            self._read_history(context, window)

    def poll_latest(
        self,
        context: Any,
        event: object = None,  # noqa: ARG002
        *,
        poll_number: int,
        written: str | None = None,
    ) -> None:
        """Poll once and defer until the next poll is due; Airflow resumes here and passes the trigger's ``event``.

        :param written: digest of the answer that the poll before wrote.
        """
        hook = self._hook()
        with self._recorded(context, "latest", poll_number) as poll:
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
        if poll_number < self.polls:
            pause = timedelta(seconds=get_settings().collect_poll_seconds)
            self.defer(
                trigger=TimeDeltaTrigger(pause),
                method_name="poll_latest",
                kwargs={"poll_number": poll_number + 1, "written": newest.digest},
                timeout=pause + RESUME_TOLERANCE,
            )

    def _read_history(self, context: Any, window: Window) -> None:
        with self._recorded(context, "history", poll_number=1) as poll:
            poll.write(self._hook().history(window.start, window.end))
        self.log.info(
            "%s: received %s rows, inserted %s, quarantined %s",
            window,
            poll.received,
            poll.inserted,
            poll.quarantined,
        )

    def _recorded(self, context: Any, source: str, poll_number: int) -> AbstractContextManager[Poll]:
        settings = get_settings()
        hook = BigQueryHook(gcp_conn_id=settings.google_conn_id, location=settings.location, use_legacy_sql=False)
        client = hook.get_client(project_id=settings.project, location=settings.location)
        repository = SourceRepository(client, self.dag_id, self.task_id)
        return recorded_poll(repository, source, context["run_id"], context["ti"].try_number, poll_number)

    def _hook(self) -> DrawFeedHook:
        return DrawFeedHook(get_settings().draw_feed_conn_id)
