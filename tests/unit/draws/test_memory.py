"""What is remembered between runs, and that nothing depends on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from drawsguard.draws.recent.memory import NoMemory
from drawsguard.draws.repair.repairer import ask_again, next_question
from hooks.asset_memory import DRAWS, AssetMemory, memory_of

NOON = datetime(2025, 10, 3, 12, tzinfo=UTC)


class Broken:
    """A state store that nobody answers for."""

    def get(self, _name: str) -> Any:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    def set(self, _name: str, _value: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))


def test_a_task_remembers_by_the_asset_of_the_draws() -> None:
    kept: dict[str, Any] = {}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    memory = memory_of({"asset_state_store": {DRAWS: store}})
    assert memory.recall("something") is None
    memory.keep("something", {"stamp": [1]})
    assert memory.recall("something") == {"stamp": [1]}


def test_without_a_scheduler_or_the_asset_nothing_is_remembered() -> None:
    assert isinstance(memory_of({}), NoMemory)
    assert isinstance(memory_of({"asset_state_store": {}}), NoMemory)


def test_a_store_that_fails_is_no_memory_and_no_failure() -> None:
    memory = AssetMemory(Broken())
    memory.keep("something", 1)
    assert memory.recall("something") is None


def test_the_next_question_is_due_when_it_would_be_asked_again() -> None:
    for detected, asked in ((0, 0), (0, 60), (10, 4000)):
        known = {"detected_at": NOON + timedelta(seconds=detected), "asked_at": NOON + timedelta(seconds=asked)}
        due = next_question(known)
        assert ask_again(known["detected_at"], known["asked_at"], due + timedelta(seconds=1))
        if due > known["asked_at"]:
            assert not ask_again(known["detected_at"], known["asked_at"], due - timedelta(seconds=1))
