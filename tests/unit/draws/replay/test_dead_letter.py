"""The letter of a failed interval."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.window import SyncRequest, Window
from drawsguard.warehouse.failures import StatementError
from notifiers.dead_letter import dead_letter_of

T0 = datetime(2025, 10, 3, 1, tzinfo=UTC)
INTERVAL = Window(T0, T0 + timedelta(minutes=5))
LETTER = DeadLetter(
    "draw_sync", "sync", "scheduled__1", 4, "job-1", INTERVAL.start, INTERVAL.end, "interval", "ServiceUnavailable",
    "503 down", True, T0 + timedelta(minutes=7),
)  # fmt: skip


def test_the_id_is_that_of_the_interval_not_of_the_attempt() -> None:
    again = replace(LETTER, run_id="manual__2", try_number=1, reason="Other", failed_at=T0 + timedelta(days=1))
    assert again.dlq_id == LETTER.dlq_id
    assert replace(LETTER, interval_start=T0 + timedelta(minutes=1)).dlq_id != LETTER.dlq_id
    assert replace(LETTER, task_id="verify").dlq_id != LETTER.dlq_id


def test_a_letter_survives_its_journey() -> None:
    assert DeadLetter.from_bytes(LETTER.to_bytes()) == LETTER
    assert json.loads(LETTER.to_bytes())["dlq_id"] == LETTER.dlq_id


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b"[]",
        b"{}",
        LETTER.to_bytes().replace(b"scheduled__1", b"x").replace(LETTER.dlq_id.encode(), b"0" * 64),
        LETTER.to_bytes().replace(b'"try_number"', b'"tries"'),
    ],
)
def test_what_is_no_letter_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not the record|dlq_id"):
        DeadLetter.from_bytes(data)


def context(error: Any, **params: Any) -> dict[str, Any]:
    return {
        "ti": SimpleNamespace(dag_id="draw_sync", task_id="sync", run_id="r", try_number=4),
        "dag_run": SimpleNamespace(
            data_interval_start=INTERVAL.start, data_interval_end=INTERVAL.end, run_after=INTERVAL.end
        ),
        "task": SimpleNamespace(job_id="job-9"),
        "params": {"from": None, "to": None, "dry_run": False} | params,
        "exception": error,
    }


def test_a_final_failure_becomes_a_letter() -> None:
    letter = dead_letter_of(context(BadRequest("Syntax error")), timedelta(minutes=5))
    assert letter is not None
    assert (letter.job_id, letter.reason, letter.retriable, letter.mode) == ("job-9", "BadRequest", False, "interval")
    assert letter.request == SyncRequest(INTERVAL, "interval")


def test_a_dead_worker_leaves_a_letter_without_a_job() -> None:
    letter = dead_letter_of(context(None) | {"task": None}, timedelta(minutes=5))
    assert letter is not None
    assert (letter.job_id, letter.message, letter.retriable) == (None, "the worker died", True)


@pytest.mark.parametrize("params", [{"dry_run": True}, {"from": "2025-10-03T00:00:00+00:00"}])
def test_what_would_not_have_written_leaves_no_letter(params: dict[str, Any]) -> None:
    assert dead_letter_of(context(RuntimeError("x"), **params), timedelta(minutes=5)) is None


def test_a_failed_statement_leaves_the_reason_of_its_client() -> None:
    failure = StatementError.of(BadRequest("Syntax error"), "sync/watermark.sql", "job-1", "1 attempt in 1.0 s")
    letter = dead_letter_of(context(failure), timedelta(minutes=5))
    assert letter is not None
    assert (letter.reason, letter.retriable) == ("BadRequest", False)
