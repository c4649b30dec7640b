"""Which tables await their cut-over, what waits for them, and how a refused statement says so."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, NotFound, ServiceUnavailable

from drawsguard.warehouse.adoption import (
    ADOPTED,
    FEATURES,
    SOURCE_DRAWS,
    TARGET_DRAWS,
    CutOverAwaitedError,
    awaited_tables,
    explained,
    next_step,
)
from drawsguard.warehouse.failures import StatementError, is_permanent
from drawsguard.warehouse.migrations import load, split_waiting

LEGACY = BadRequest("Unrecognized name: ingested_at")


class Statements:
    """Answers the question for a layout by the name of the table: an error, or None for the present layout."""

    def __init__(self, **answers: Exception | None) -> None:
        self.answers = answers

    def plain(self) -> Statements:
        return self

    def run(self, statement: str, identifiers: dict[str, Any] | None = None, /, **_values: Any) -> None:
        assert identifiers is not None
        answer = self.answers.get(f"{identifiers['dataset']}__{identifiers['adopted']}", NotFound("no such table"))
        if answer is not None:
            raise StatementError.of(answer, statement, "job", "1 attempt in 0.1 s")


PRESENT = {"drawsguard__draws": None, "pc28__draws": None, "pc28__draws_14w": None}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, ()),  # nothing there yet
        (PRESENT, ()),
        (PRESENT | {"drawsguard__draws": LEGACY}, (SOURCE_DRAWS,)),
        (dict.fromkeys(PRESENT, LEGACY), ADOPTED),
        # A cut-over that ended between the two names, and one that was finished.
        ({"pc28__draws": None, "pc28__draws_14w_unpartitioned": LEGACY}, (FEATURES,)),
        ({"pc28__draws_unpartitioned": LEGACY}, (TARGET_DRAWS,)),
        (PRESENT | {"pc28__draws_unpartitioned": LEGACY}, ()),
    ],
)
def test_tables_that_await_their_cut_over(answers: dict[str, Exception | None], expected: tuple[Any, ...]) -> None:
    assert awaited_tables(Statements(**answers)) == expected


@pytest.mark.parametrize("error", [ServiceUnavailable("down"), TimeoutError()])
def test_an_engine_that_does_not_answer_is_no_old_layout(error: Exception) -> None:
    with pytest.raises(StatementError):
        awaited_tables(Statements(drawsguard__draws=error))


def test_the_source_comes_before_the_target() -> None:
    assert "side=source" in next_step(ADOPTED)
    assert "side=target" in next_step([TARGET_DRAWS, FEATURES])


def test_a_refused_statement_says_what_is_awaited() -> None:
    refused = StatementError.of(LEGACY, "collect/insert_draws.sql", "job_1", "1 attempt in 0.1 s")
    statements = Statements(**PRESENT | {"drawsguard__draws": LEGACY})
    error = explained(statements, refused, [SOURCE_DRAWS.full_name])
    assert isinstance(error, CutOverAwaitedError)
    assert is_permanent(error)
    assert "drawsguard.draws" in str(error)
    assert "Unrecognized name" in str(error), "BigQuery's answer is kept"
    assert (error.statement, error.job_id) == ("collect/insert_draws.sql", "job_1")
    # Another table's layout explains nothing, nor does an engine that does not answer.
    assert explained(statements, refused, [TARGET_DRAWS.full_name]) is refused
    assert explained(Statements(drawsguard__draws=TimeoutError()), refused, [SOURCE_DRAWS.full_name]) is refused


def test_files_wait_for_the_tables_that_they_stand_on_and_for_each_other() -> None:
    repeatable = [migration for migration in load() if migration.repeatable]
    assert split_waiting(repeatable, []) == (repeatable, [])
    ready, waiting = split_waiting(repeatable, [TARGET_DRAWS])
    assert sorted([*ready, *waiting]) == repeatable
    names = {migration.version for migration in waiting}
    assert {"R__110_draws_realtime", "R__150_draws_hourly_mv"} <= names
    assert {"R__200_draws_daily_stats_v", "R__210_draws_weekly_stats_v"} <= names, "they stand on a view that waits"
    assert {"R__010_draw_version", "R__020_draw_fault", "R__100_draws_dedup_v"} <= {one.version for one in ready}
