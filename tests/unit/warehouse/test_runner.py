"""The runner against a client that answers as it is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, ServiceUnavailable

from drawsguard.draws.features.refresh import RefreshLog, run_refresh
from drawsguard.warehouse import runner as runner_module
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.limits import ROUTINE, WATCH, TimeLimit
from drawsguard.warehouse.runner import StatementRunner

CONCURRENT = "Could not serialize access to table pc28.draws due to concurrent update"


class Client:
    """Each query takes the next answer: rows, or an error that the job ends with."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.jobs: list[Job] = []
        self.calls: list[dict[str, Any]] = []
        self.streamed: list[dict[str, Any]] = []

    def query(self, statement: str, **call: Any) -> Job:
        self.calls.append(call | {"statement": statement})
        self.jobs.append(Job(f"job_{len(self.jobs) + 1}", self.answers.pop(0)))
        return self.jobs[-1]

    def insert_rows_json(self, _table: str, rows: list[dict[str, Any]], **_call: Any) -> list[Any]:
        self.streamed += rows
        return []


class Job:
    def __init__(self, job_id: str, answer: Any) -> None:
        self.job_id, self.answer, self.cancelled = job_id, answer, False
        self.num_dml_affected_rows = 2
        self.dml_stats = SimpleNamespace(inserted_row_count=1, updated_row_count=1)
        self.total_bytes_billed, self.slot_millis = 10 * 2**20, 7
        self.referenced_tables: list[Any] = []

    def result(self, **_call: Any) -> list[Any]:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return [SimpleNamespace(items=lambda row=row: row.items()) for row in self.answer]

    def cancel(self, **_call: Any) -> None:
        self.cancelled = True


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(runner_module.time, "sleep", waited.append)
    return waited


def runner(client: Client, limit: TimeLimit = ROUTINE) -> StatementRunner:
    return StatementRunner(client, "a_dag", "a_task", limit)  # type: ignore[arg-type]


def test_a_run_returns_its_rows_and_keeps_its_job() -> None:
    client = Client([{"one": 1}])
    result = runner(client).run("monitoring/ping.sql")
    assert result.rows == [{"one": 1}]
    assert (result.job_id, result.affected, result.inserted, result.bytes_billed, result.slot_ms) == (
        "job_1", 2, 1, 10 * 2**20, 7,
    )  # fmt: skip
    (call,) = client.calls
    assert call["statement"] == "SELECT 1 AS one;\n"
    assert call["job_config"].labels == {"dag": "a_dag", "task": "a_task", "statement": "monitoring_ping"}
    assert (call["timeout"], int(call["job_config"].job_timeout_ms)) == (60, 200_000)


def test_a_transient_failure_is_repeated_and_each_attempt_is_a_job_of_its_own(pauses: list[float]) -> None:
    client = Client(BadRequest(CONCURRENT), ServiceUnavailable("down"), [])
    assert runner(client).run("monitoring/ping.sql").job_id == "job_3"
    assert pauses == [2, 4]


def test_attempts_end(pauses: list[float]) -> None:
    client = Client(*[ServiceUnavailable("down")] * 3)
    with pytest.raises(StatementError, match=r"ping.sql failed after 3 attempts in .* \(job job_3\)") as caught:
        runner(client).run("monitoring/ping.sql")
    assert (caught.value.transient, caught.value.reason) == (True, "ServiceUnavailable")
    assert isinstance(caught.value.__cause__, ServiceUnavailable)


def test_what_needs_a_change_is_not_repeated(pauses: list[float]) -> None:
    with pytest.raises(StatementError, match="Syntax error") as caught:
        runner(Client(BadRequest("Syntax error"))).run("monitoring/ping.sql")
    assert caught.value.permanent
    assert pauses == []


def test_no_attempt_begins_after_the_time_limit(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    clock = iter(range(0, 1000, 29))
    monkeypatch.setattr(runner_module.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(StatementError, match="1 attempt in"):
        runner(Client(ServiceUnavailable("down"), []), WATCH).run("monitoring/ping.sql")
    assert pauses == []


def test_a_time_out_is_a_failure_like_any_other_and_its_job_is_stopped() -> None:
    client = Client(*[TimeoutError()] * 3)
    with pytest.raises(StatementError, match="timed out") as caught:
        runner(client).run("monitoring/ping.sql")
    assert caught.value.transient
    assert all(job.cancelled for job in client.jobs)


@pytest.mark.parametrize("error", [TimeoutError(), KeyboardInterrupt()])
def test_a_refresh_that_does_not_end_is_recorded_as_failed(error: BaseException) -> None:
    from datetime import UTC, datetime

    now = datetime(2025, 10, 3, tzinfo=UTC)
    limit = TimeLimit(statement_seconds=1, call_seconds=1, attempts=1, pause_seconds=0)
    client = Client(error)
    log = RefreshLog(runner(client, limit), "feature_refresh", "run", 1, now)
    with pytest.raises((StatementError, KeyboardInterrupt)):
        run_refresh(log, lambda: now)
    (row,) = client.streamed
    assert row["status"] == "failed"
    assert type(error).__name__ in row["error"]


def test_references_are_counted_by_statement() -> None:
    shared = runner(Client([], [], []))
    shared.run("sync/watermark.sql", retained_from=1)
    shared.within(WATCH).run("sync/watermark.sql", retained_from=1)
    shared.run("monitoring/ping.sql")
    watermark, ping = shared.usage["sync/watermark.sql"], shared.usage["monitoring/ping.sql"]
    assert (watermark.runs, watermark.references, watermark.minimum_bytes) == (2, 2, 20 * 2**20)
    assert (ping.runs, ping.references, ping.minimum_bytes) == (1, 0, 10 * 2**20)


def test_what_the_engine_states_counts_more_than_the_text() -> None:
    client = Client([])
    answer = runner(client)
    client.query = lambda _statement, **_call: stated  # type: ignore[method-assign, assignment]
    stated = Job("job", [])
    stated.referenced_tables = [SimpleNamespace(project="p", dataset_id="d", table_id=name) for name in ("a", "b")]
    assert answer.run("monitoring/ping.sql").references == {"p.d.a", "p.d.b"}
