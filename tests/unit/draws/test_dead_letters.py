"""The letter of a failed interval, and the rules of its replay."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, InternalServerError, NotFound, ServiceUnavailable

from drawsguard.draws.dead_letters import DeadLetter, Delivered, decide, is_retriable, replay
from drawsguard.draws.sync import DrawsDifferError
from drawsguard.draws.window import SyncRequest, Window
from notifiers.dead_letter import dead_letter_of

T0 = datetime(2025, 10, 3, 1, tzinfo=UTC)
INTERVAL = Window(T0, T0 + timedelta(minutes=5))
LETTER = DeadLetter(
    "draw_sync", "sync", "scheduled__1", 4, "job-1", INTERVAL.start, INTERVAL.end, "interval", "ServiceUnavailable",
    "503 down", True, T0 + timedelta(minutes=7),
)  # fmt: skip


def forbidden(reason: str) -> Forbidden:
    return Forbidden("no", errors=[{"reason": reason}])


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (BadRequest("Syntax error at [1:1]"), False),
        (NotFound("table pc28.draws"), False),
        (forbidden("accessDenied"), False),
        (forbidden("rateLimitExceeded"), True),
        (ServiceUnavailable("down"), True),
        (InternalServerError("oops"), True),
        (ConnectionError("refused"), True),
        (DrawsDifferError("1 missing"), True),
        (ValueError("no time zone"), False),
        (RuntimeError("who knows"), True),
    ],
)
def test_what_another_run_can_mend(error: BaseException, retriable: bool) -> None:
    assert is_retriable(error) is retriable


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


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, "replay"),
        ({"next_attempt_at": T0 + timedelta(minutes=1)}, "wait"),
        ({"attempts": 8}, "set_aside"),
        ({"retriable": False}, "set_aside"),
        ({"status": "replayed"}, "done"),
        ({"status": "set_aside"}, "done"),
    ],
)
def test_the_rules(changes: dict[str, Any], decision: str) -> None:
    state = {"status": "waiting", "attempts": 0, "retriable": True, "next_attempt_at": T0} | changes
    assert decide(state, T0, max_attempts=8) == decision


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


class Recorder:
    """Queue and ledger in memory: what the replay did, in order."""

    def __init__(self, *letters: DeadLetter) -> None:
        self.deliveries = [Delivered(f"ack-{n}", letter.to_bytes()) for n, letter in enumerate(letters)]
        self.table: dict[str, dict[str, Any]] = {}
        self.events: list[str] = []

    def pull(self) -> list[Delivered]:
        taken, self.deliveries = self.deliveries, []
        return taken

    def acknowledge(self, ack_ids: list[str]) -> None:
        self.events.append(f"acknowledge {','.join(ack_ids)}")

    def give_back(self, ack_ids: list[str]) -> None:
        self.events.append(f"give back {','.join(ack_ids)}")

    def register(self, letter: DeadLetter) -> None:
        fields = vars(letter) | {"dlq_id": letter.dlq_id, "attempts": 0, "status": "waiting", "next_attempt_at": T0}
        self.table.setdefault(letter.dlq_id, fields)

    def states(self, dlq_ids: list[str]) -> list[dict[str, Any]]:
        return [dict(self.table[dlq_id]) for dlq_id in dlq_ids]

    def update(self, dlq_id: str, attempts: int, status: str, **_: Any) -> None:
        self.events.append(f"{status} {attempts}")
        self.table[dlq_id] |= {"attempts": attempts, "status": status}

    def depth(self) -> dict[str, Any]:
        return {"waiting": 0, "oldest_failure": None}

    def replay(self, sync: Any, max_attempts: int = 8) -> Any:
        return replay(self, self, sync, max_attempts, lambda: T0)  # type: ignore[arg-type]


def test_the_attempt_is_counted_first_and_the_letter_acknowledged_last() -> None:
    recorder = Recorder(LETTER)
    recorder.replay(lambda _: recorder.events.append("sync"))
    assert recorder.events == ["waiting 1", "sync", "replayed 1", "acknowledge ack-0"]


def test_copies_of_a_letter_are_replayed_once() -> None:
    recorder = Recorder(LETTER, LETTER, replace(LETTER, run_id="again"))
    report = recorder.replay(lambda _: recorder.events.append("sync"))
    assert recorder.events.count("sync") == report.replayed == 1
    assert recorder.events[-1] == "acknowledge ack-0,ack-1,ack-2"


def test_a_failed_replay_waits_and_a_permanent_error_is_set_aside() -> None:
    def fails(error: Exception) -> Any:
        def sync(_: Any) -> None:
            raise error

        return sync

    recorder = Recorder(LETTER)
    assert recorder.replay(fails(ServiceUnavailable("down"))).set_aside == 0
    assert recorder.events[-2:] == ["waiting 1", "give back ack-0"]
    recorder = Recorder(LETTER)
    report = recorder.replay(fails(BadRequest("Syntax error")))
    assert recorder.events[-2:] == ["set_aside 1", "acknowledge ack-0"]
    assert "Syntax error" in report.errors[0]


def test_a_worker_that_dies_each_time_runs_out_of_attempts() -> None:
    def dies(_: Any) -> None:
        raise SystemExit

    recorder = Recorder()
    for _ in range(3):
        recorder.deliveries = [Delivered("ack", LETTER.to_bytes())]
        with pytest.raises(SystemExit):
            recorder.replay(dies, max_attempts=3)
    recorder.deliveries = [Delivered("ack", LETTER.to_bytes())]
    assert recorder.replay(dies, max_attempts=3).set_aside == 1
