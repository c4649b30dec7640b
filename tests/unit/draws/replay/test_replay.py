"""The rules of the replay of dead letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, ServiceUnavailable

from drawsguard.draws.replay.dead_letter import DeadLetter
from drawsguard.draws.replay.replay import Delivered, decide
from drawsguard.draws.replay.replay import replay as replay_letters
from drawsguard.draws.window import Window

T0 = datetime(2025, 10, 3, 1, tzinfo=UTC)
INTERVAL = Window(T0, T0 + timedelta(minutes=5))
LETTER = DeadLetter(
    "draw_sync", "sync", "scheduled__1", 4, "job-1", INTERVAL.start, INTERVAL.end, "interval", "ServiceUnavailable",
    "503 down", True, T0 + timedelta(minutes=7),
)  # fmt: skip


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
        return replay_letters(self, self, sync, max_attempts, lambda: T0)  # type: ignore[arg-type]


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
