"""Publishes the interval of a sync that failed for good, so that draw_sync_replay runs it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.window import InvalidRangeError, Window, sync_request
from hooks.dead_letter_hook import DeadLetterQueue


def dead_letter_of(context: Any, slot: timedelta) -> DeadLetter | None:
    """Return the dead letter for the failed task of ``context``; None for a run that would not have written anything.

    :param slot: length of the schedule's intervals.
    """
    task_instance, run = context["ti"], context["dag_run"]
    interval = None
    if run.data_interval_start is not None and run.data_interval_end is not None:
        interval = Window(run.data_interval_start, run.data_interval_end)
    try:
        request = sync_request(context["params"], interval, run.run_after, slot)
    except InvalidRangeError:
        return None  # refused before anything ran; the task's own error says why
    if request.dry_run:
        return None
    error = context.get("exception")
    return DeadLetter.of(
        # Airflow passes no exception, or only its text, when the worker died.
        error if isinstance(error, BaseException) else RuntimeError(str(error or "the worker died")),
        request,
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        try_number=task_instance.try_number,
        job_id=getattr(context.get("task"), "job_id", None),
        failed_at=datetime.now(UTC),
    )


def publish_dead_letter(context: Any) -> None:
    """Publish a final failure of draw_sync; for ``default_args["on_failure_callback"]``, beside the mail."""
    letter = dead_letter_of(context, slot=timedelta(minutes=5))
    if letter is not None:
        DeadLetterQueue().publish(letter)
