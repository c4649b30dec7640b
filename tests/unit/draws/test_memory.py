"""What is remembered between runs, and that nothing depends on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from drawsguard.draws.recent.memory import NoMemory
from drawsguard.draws.recent.tables import SOURCE, TARGET, DrawTable, Recent
from drawsguard.draws.repair.look import Whole, known_whole, newest_are_whole, older_days_of, remember_whole
from drawsguard.draws.repair.repairer import ask_again, next_question
from drawsguard.draws.sync.look import Look
from drawsguard.settings import get_settings
from drawsguard.warehouse.partitions import stamp
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


def newest(*periods: int, table: DrawTable = SOURCE) -> Recent:
    rows = [{"period": period, "timestamp": NOON, "ingested_at": NOON} for period in periods]
    return Recent(table, NOON, rows, highest=99, cut=NOON, highest_before_cut=0, stamp=[])


def test_a_period_that_somebody_typed_wrong_is_left_to_the_whole_search() -> None:
    """Counting up to it would take all memory; a hole of the usual kind is told without a query."""
    long_ago = NOON - timedelta(days=1)
    assert newest_are_whole(Look(newest(100, 101), newest(100, 101, table=TARGET)), [], long_ago)
    assert newest_are_whole(Look(newest(100, 102), newest(100, 102, table=TARGET)), [101], long_ago)
    assert not newest_are_whole(Look(newest(100, 102), newest(100, 102, table=TARGET)), [], long_ago)
    assert not newest_are_whole(Look(newest(100, 10**15), newest(100, table=TARGET)), [], long_ago)


def test_a_stamp_tells_any_change_of_a_partition() -> None:
    """Also of one whose time is not the latest: the count and the latest time would be the same."""
    before = {"20251001": 5, "20251002": 9}
    assert stamp(before) == stamp(dict(reversed(before.items())))
    changed = [{**before, "20251001": 6}, {"20251001": 9, "20251002": 5}, {"20251002": 9}, {**before, "20251003": 1}]
    assert len({stamp(before), *map(stamp, changed)}) == 5


def test_where_older_draws_may_be_under_way_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are missing by time alone: nothing that is remembered tells when."""
    kept: dict[str, Any] = {}
    memory = AssetMemory(SimpleNamespace(get=kept.get, set=kept.__setitem__))
    looked = Look(newest(100), newest(100, table=TARGET))
    remember_whole(Whole(older_days_of(looked), frozenset(), None), memory)
    assert known_whole(looked, memory, NOON) is not None
    monkeypatch.setenv("DRAWSGUARD_SYNC_LOOKBACK_MINUTES", "1436")
    get_settings.cache_clear()
    assert known_whole(looked, memory, NOON) is None
    monkeypatch.undo()
    get_settings.cache_clear()
