"""What is written and logged of a poll, whatever happens in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.draws.collect import poll as collect_module
from drawsguard.draws.collect.feed import RAW_LIMIT, Answer, AnswerNotJsonError, FeedUnreachableError, Rejected
from drawsguard.draws.collect.poll import recorded_poll
from drawsguard.draws.collect.source_repository import (
    BATCH_SIZE,
    REJECTED_BATCH_SIZE,
    PollRecord,
    StoredDraw,
    draws_array,
    rejected_array,
)
from drawsguard.draws.model import MAX_PERIOD, Draw
from drawsguard.warehouse.failures import StatementError

NOW = datetime(2025, 10, 1, tzinfo=UTC)

#: What BigQuery takes in one request, parameters included (bytes).
REQUEST_LIMIT = 10 * 1000**2


def draw(period: int, numbers: Any = (1, 2, 3)) -> Draw:
    return Draw.derive(period, NOW + period * timedelta(seconds=210), numbers, NOW)


def answer(*draws: Draw, rejected: Sequence[Rejected] = ()) -> Answer:
    return Answer(NOW, draws, tuple(rejected), len(draws) + len(rejected))


@dataclass
class Memory:
    """Stands in for the store: keeps what it is given, or fails where the test wants it to."""

    draws: list[list[Draw]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    log: list[PollRecord] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)

    def stored(self, _draws: Sequence[Draw], _now: datetime) -> dict[int, StoredDraw]:
        return {}

    def insert_draws(self, draws: Sequence[Draw], _polled_at: datetime) -> int:
        self._fail("insert_draws")
        self.draws.append(list(draws))
        return len(draws)

    def quarantine(self, rejected: Iterable[Rejected], _source: str, _seen_at: datetime) -> int:
        rows = list(rejected)
        self.rejected += rows
        return len(rows)

    def log_poll(self, record: PollRecord) -> None:
        self._fail("log_poll")
        self.log.append(record)

    def _fail(self, method: str) -> None:
        if method in self.failing:
            raise StatementError(method)


def poll_once(memory: Memory, answers: Iterable[Answer]) -> None:
    with recorded_poll(memory, "latest", "run", 2, 1) as poll:  # type: ignore[arg-type]
        poll.write(answers)


def test_a_poll_that_went_well() -> None:
    memory = Memory()
    poll_once(memory, [answer(draw(1), draw(2), rejected=[Rejected("number_invalid", "detail", "raw")])])
    (record,) = memory.log
    assert (record.run_id, record.try_number, record.poll_number) == ("run", 2, 1)
    assert (record.http_status, record.received, record.inserted, record.quarantined) == (200, 3, 2, 1)
    assert (record.status, record.error) == ("success", None)


def test_pages_are_gathered_and_the_last_of_a_draw_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "BATCH_SIZE", 3)
    memory = Memory()
    pages = [answer(draw(1), draw(2)), answer(draw(2, (4, 5, 6)), draw(3)), answer(draw(4))]
    poll_once(memory, pages)
    assert memory.draws == [[draw(1), draw(2, (4, 5, 6)), draw(3)], [draw(4)]]
    newer = Draw.derive(2, draw(2).timestamp, (7, 8, 9), NOW, NOW + timedelta(hours=1))
    poll_once(memory, [answer(newer), answer(draw(2))])
    assert memory.draws[-1] == [newer], "an older version in a later page is older"


def test_an_unusable_answer_is_kept_logged_and_raised() -> None:
    memory = Memory()

    def pages() -> Iterator[Answer]:
        yield answer(draw(1))
        raise AnswerNotJsonError("no JSON", "<html>", 200)

    with pytest.raises(AnswerNotJsonError):
        poll_once(memory, pages())
    assert memory.draws == [[draw(1)]]
    assert [(row.reason, row.raw) for row in memory.rejected] == [("answer_not_json", "<html>")]
    assert [(record.status, record.error) for record in memory.log] == [("failed", "AnswerNotJsonError: no JSON")]


def test_no_answer_leaves_nothing_to_keep() -> None:
    memory = Memory()
    with pytest.raises(FeedUnreachableError), recorded_poll(memory, "latest", "run", 1, 1):  # type: ignore[arg-type]
        raise FeedUnreachableError("refused")
    assert memory.rejected == []
    assert [(record.status, record.http_status, record.received) for record in memory.log] == [("failed", None, 0)]


def test_a_failed_write_is_logged_as_a_failed_poll() -> None:
    memory = Memory(failing={"insert_draws"})
    with pytest.raises(StatementError, match="insert_draws"):
        poll_once(memory, [answer(draw(1))])
    assert [(record.status, record.received, record.inserted) for record in memory.log] == [("failed", 1, 0)]


class StoppedTask(BaseException):
    """As Airflow's time-out of a task is: no Exception."""


def test_a_poll_that_its_task_s_time_limit_stops_is_logged_as_failed() -> None:
    memory = Memory()
    with pytest.raises(StoppedTask), recorded_poll(memory, "latest", "run", 1, 1):  # type: ignore[arg-type]
        raise StoppedTask("30 minutes are over")
    assert [(record.status, record.error) for record in memory.log] == [("failed", "StoppedTask: 30 minutes are over")]


def test_when_the_log_fails_too_the_first_reason_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory(failing={"insert_draws", "log_poll"})
    with caplog.at_level(logging.ERROR), pytest.raises(StatementError, match="insert_draws"):
        poll_once(memory, [answer(draw(1))])
    assert "could not be recorded" in caplog.text


def test_a_poll_whose_success_cannot_be_logged_fails() -> None:
    memory = Memory(failing={"log_poll"})
    with pytest.raises(StatementError, match="log_poll"):
        poll_once(memory, [answer(draw(1))])
    assert memory.draws == [[draw(1)]], "the draws are written; the next attempt inserts nothing and logs"


def test_a_full_batch_fits_into_a_request() -> None:
    moment = datetime(2025, 10, 1, 12, 34, 56, 123456, tzinfo=UTC)
    longest = Draw.derive(MAX_PERIOD, moment, (0, 0, 1), moment, moment + timedelta(days=1))
    assert len(json.dumps(draws_array([longest] * BATCH_SIZE).parameter("draws").to_api_repr())) < REQUEST_LIMIT / 2
    fullest = Rejected("combination_mismatch", "d" * 300, "大" * RAW_LIMIT, MAX_PERIOD)
    assert (
        len(json.dumps(rejected_array([fullest] * REJECTED_BATCH_SIZE).parameter("rows").to_api_repr())) < REQUEST_LIMIT
    )
