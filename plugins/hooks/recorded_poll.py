"""A poll of the feed that writes, labels its jobs and logs as a task."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.draws.collect.poll import Poll, recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from hooks.asset_memory import memory_of
from hooks.warehouse_hook import warehouse_client


def task_poll(task: BaseOperator, context: Any, source: str, poll_number: int = 1) -> AbstractContextManager[Poll]:
    """Return the context in which ``task`` polls; how the poll ended is recorded when it is left.

    :param source: what is read, ``latest`` or ``history``.
    :param poll_number: the poll within the attempt, from 1.
    """
    repository = SourceRepository(warehouse_client(), task.dag_id, task.task_id, memory_of(context))
    return recorded_poll(repository, source, context["run_id"], context["ti"].try_number, poll_number)
