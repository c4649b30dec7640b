"""One statement changes the state of a batch, so that no step can be taken round its table of states."""

from __future__ import annotations

import re

from drawsguard.points.review.batch_state import FOLLOWING, BatchState, may_follow
from drawsguard.settings import REPOSITORY

_STATEMENTS = REPOSITORY / "include" / "sql" / "mysql"
_SETS_STATE = re.compile(r"UPDATE points_lifecycle\.batch\s+SET\s(?:(?!WHERE).)*\bstate\s*=", re.DOTALL)


def test_only_one_statement_moves_a_batch() -> None:
    found = [path.name for path in sorted(_STATEMENTS.rglob("*.sql")) if _SETS_STATE.search(path.read_text("utf-8"))]
    assert found == ["move_batch.sql"]


def test_nothing_leads_back_from_a_cleanup() -> None:
    reached, queue = set(), [BatchState.CLEANING]
    while queue:
        state = queue.pop()
        reached.add(state)
        queue += FOLLOWING[state] - reached
    assert reached == {BatchState.CLEANING, BatchState.CLEANED}
    assert not any(may_follow(BatchState.CLEANED, state) for state in BatchState)


def test_every_downline_is_verified_before_a_cleanup() -> None:
    assert FOLLOWING[BatchState.DOWNLINING] <= {BatchState.DOWNLINING, BatchState.DOWNLINED}
