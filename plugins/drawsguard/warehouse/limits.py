"""How long a BigQuery statement may take: stated once, for every statement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeLimit:
    """Time of one statement (seconds), with all its attempts.

    :param statement_seconds: from the first request to the last row. BigQuery gets the same limit for its job, and a
        job that outlives it is cancelled.
    :param call_seconds: for one answer of the service; the client's own retry would go on for ten minutes.
    :param attempts: how often a statement is run when its failures are transient. Every statement is repeatable.
    :param pause_seconds: before the second attempt; doubled before each further one.
    """

    statement_seconds: float
    call_seconds: float
    attempts: int
    pause_seconds: float


#: The monitor, the alerts and the health page: whoever waits longer is blind meanwhile.
WATCH = TimeLimit(statement_seconds=30, call_seconds=10, attempts=2, pause_seconds=1)

#: Everything else. Less than the four minutes of a sync's task: the statement fails first and its failure is recorded.
ROUTINE = TimeLimit(statement_seconds=200, call_seconds=60, attempts=3, pause_seconds=2)

#: Statements whose work grows with the whole table: schema, history, features. Less than the
#: ten minutes of their tasks.
BULK = TimeLimit(statement_seconds=540, call_seconds=60, attempts=3, pause_seconds=2)
