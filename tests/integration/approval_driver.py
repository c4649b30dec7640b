"""Runs operators that ask for an approval as Airflow would, and answers them; the approvals table is a real one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import TaskAwaitingInput

from drawsguard.settings import get_settings
from hooks.approvals_database import approvals


@dataclass
class ApprovalDriver:
    """One run of a DAG.

    :param params: the run's params.
    """

    dag_id: str
    params: dict[str, Any] = field(default_factory=dict)
    requester: str | None = "requester"
    run_type: str = "manual"
    run_id: str = field(default_factory=lambda: f"manual__{uuid.uuid4().hex}")
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    clock: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=10))

    def context(self, task_id: str) -> Any:
        run = SimpleNamespace(
            dag_id=self.dag_id, run_id=self.run_id, triggering_user_name=self.requester, run_type=self.run_type,
            start_date=self.started_at,
        )  # fmt: skip
        task = SimpleNamespace(
            id=uuid.uuid4(), dag_id=self.dag_id, task_id=task_id, run_id=self.run_id, map_index=-1, try_number=1
        )
        return {"dag_run": run, "run_id": self.run_id, "ti": task, "task_instance": task, "params": self.params}

    def new_run(self, run_id: str | None = None) -> None:
        """Trigger another run. With its own run id: what a run is that ended and was cleared, or deleted and made."""
        self.run_id = run_id or f"manual__{uuid.uuid4().hex}"
        self.started_at += timedelta(minutes=1)

    def run(self, operator: Any) -> Any:
        return operator.execute(self.context(operator.task_id))

    def ask(self, operator: Any) -> str:
        """Run a task until it waits, and return the digest that its form shows."""
        with pytest.raises(TaskAwaitingInput):
            self.run(operator)
        return str(operator.params["digest"])

    def answer(self, operator: Any, digest: str, user: str | None = "approver", option: str = "Approve") -> Any:
        """Resume a task with an answer."""
        self.clock += timedelta(seconds=1)
        event = {
            "chosen_options": [option],
            "params_input": {"digest": digest},
            "responded_at": self.clock,
            "responded_by_user": {"id": user, "name": user} if user else None,
        }
        return operator.execute_complete(self.context(operator.task_id), event)

    def kinds(self) -> list[str]:
        """Return what the approvals table holds of the run, in order."""
        with approvals() as repository:
            return [str(event.kind) for event in repository.of_run(self.dag_id, self.run_id)]


@contextmanager
def approvers() -> Iterator[None]:
    """Let ``approver`` and ``second_approver`` answer, and tasks wait without a server to keep the question."""

    def wait(operator: HITLOperator, _context: Any) -> None:
        raise TaskAwaitingInput(method_name="execute_complete", timeout=operator.response_timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HITLOperator, "execute", wait)
        patch.setenv("DRAWSGUARD_APPROVERS", "approver,second_approver")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()
