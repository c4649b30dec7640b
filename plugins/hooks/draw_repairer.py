"""The repair of missing draws, with the feed and the warehouse of a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.draws.collect.poll import recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.repair.repairer import Repairer
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from hooks.asset_memory import memory_of
from hooks.draw_feed_hook import DrawFeedHook
from hooks.warehouse_hook import warehouse_client


def now() -> datetime:
    return datetime.now(UTC)


def draw_repairer(task: BaseOperator, context: Any) -> Repairer:
    """Return a repairer that acts, labels its jobs and logs as ``task``."""
    client, task_instance = warehouse_client(), context["ti"]
    memory = memory_of(context)
    source = SourceRepository(client, task.dag_id, task.task_id, memory)

    def read_history(span: Window) -> None:
        with recorded_poll(source, "history", task_instance.run_id, task_instance.try_number, 1) as poll:
            poll.write(DrawFeedHook(get_settings().draw_feed_conn_id).history(span.start, span.end))

    names = (task.dag_id, task.task_id, task_instance.run_id, task_instance.try_number)
    return Repairer(client, *names, read_history, now, memory)
