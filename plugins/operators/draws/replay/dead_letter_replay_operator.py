"""Replay failed sync intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.recent.memory import Memory
from drawsguard.draws.replay.dead_letter_repository import DeadLetterRepository
from drawsguard.draws.replay.replay import ReplayReport, replay
from drawsguard.draws.replay.resync import resync
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner
from hooks.asset_memory import DRAWS, memory_of
from hooks.dead_letter_hook import DeadLetterQueue
from hooks.warehouse_hook import warehouse_client


def failure(report: ReplayReport) -> str:
    """Return what the task has to fail with; empty when nothing went wrong."""
    problems = []
    if report.set_aside:
        problems.append(
            f"{report.set_aside} intervals were set aside and will not be replayed: {'; '.join(report.errors)}. "
            "Repair the cause, then trigger draw_sync with 'from' and 'to' of each interval."
        )
    if report.retriable:
        problems.append(
            f"{len(report.retriable)} intervals failed again and will be replayed automatically: "
            f"{'; '.join(report.retriable)}. {report.replayed} others were replayed."
        )
    return " ".join(problems)


class DeadLetterReplayOperator(BaseOperator):
    """Run the intervals of all due dead letters again, and acknowledge each after its outcome is recorded.

    Fails after all of them were handled and recorded: when an interval was set aside in this run, since that needs a
    person, and when one failed again, which waits for its next attempt. Airflow does not retry it: the next
    attempt is not due before the next run.

    Returns replayed, failed, set_aside, waiting and the age (seconds) of the oldest waiting letter.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inlets=[DRAWS], **kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        settings = get_settings()
        client = warehouse_client()
        task_instance = context["ti"]
        names = {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": task_instance.run_id,
            "try_number": task_instance.try_number,
        }

        def now() -> datetime:
            return datetime.now(UTC)

        report = replay(
            DeadLetterQueue(),
            DeadLetterRepository(StatementRunner(client, self.dag_id, self.task_id), now, memory_of(context)),
            lambda request: self._sync(client, request, names, memory_of(context)),
            settings.dead_letter_max_attempts,
            now,
        )
        age = report.age(now()).total_seconds()
        self.log.info(
            "Dead letters: %s replayed, %s failed again, %s set aside; %s wait, the oldest for %.0f s",
            report.replayed, report.failed, report.set_aside, report.waiting, age,
        )  # fmt: skip
        if problems := failure(report):
            raise AirflowFailException(problems)
        return {
            "replayed": report.replayed,
            "failed": report.failed,
            "set_aside": report.set_aside,
            "waiting": report.waiting,
            "oldest_age_seconds": age,
        }

    def _sync(self, client: Any, request: Any, names: dict[str, Any], memory: Memory) -> None:
        written = resync(client, request, **names, memory=memory)
        self.log.info("Replayed %s: %s rows written", request.interval, written)
