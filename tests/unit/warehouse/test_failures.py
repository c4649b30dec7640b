"""What passes by itself, and what cannot."""

from __future__ import annotations

import concurrent.futures
import pickle

import pytest
from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    InternalServerError,
    NotFound,
    RetryError,
    ServiceUnavailable,
    TooManyRequests,
)
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from requests import exceptions as http

from drawsguard.warehouse.failures import StatementError, is_permanent, is_transient, reason_of

CONCURRENT = "Could not serialize access to table wprojectl:pc28.draws due to concurrent update at [1:1]"
OUTSTANDING = "Resources exceeded: Too many DML statements outstanding against table pc28.draws, limit is 20."

TRANSIENT = [
    BadRequest(CONCURRENT, errors=[{"reason": "invalidQuery"}]),
    BadRequest(OUTSTANDING, errors=[{"reason": "resourcesExceeded"}]),
    TimeoutError(),
    concurrent.futures.TimeoutError(),
    TooManyRequests("slow down"),
    Forbidden("quota", errors=[{"reason": "rateLimitExceeded"}]),
    BadRequest("try again", errors=[{"reason": "jobBackendError"}]),
    ServiceUnavailable("down"),
    InternalServerError("oops"),
    RetryError("gave up", cause=ServiceUnavailable("down")),
    ConnectionResetError("reset"),
    http.ConnectionError("refused"),
    http.ReadTimeout("slow"),
    TransportError("no route"),
    RefreshError("later", retryable=True),
]
PERMANENT = [
    BadRequest("Syntax error at [1:1]", errors=[{"reason": "invalidQuery"}]),
    NotFound("table pc28.draws"),
    Forbidden("no", errors=[{"reason": "accessDenied"}]),
    ValueError("no time zone"),
    TypeError("no type"),
]
UNKNOWN = [RuntimeError("who knows"), DefaultCredentialsError("no key"), http.SSLError("bad certificate")]


def name(error: BaseException) -> str:
    return f"{type(error).__name__}-{error}"[:40]


@pytest.mark.parametrize("error", TRANSIENT, ids=name)
def test_what_passes_by_itself(error: BaseException) -> None:
    assert (is_transient(error), is_permanent(error)) == (True, False)
    failure = StatementError.of(error, "sync/merge_draws.sql", "job_1", "1 attempt in 3.0 s")
    assert (is_transient(failure), is_permanent(failure)) == (True, False)


@pytest.mark.parametrize("error", PERMANENT, ids=name)
def test_what_needs_a_change(error: BaseException) -> None:
    assert (is_transient(error), is_permanent(error)) == (False, True)


@pytest.mark.parametrize("error", UNKNOWN, ids=name)
def test_what_is_not_known_is_neither(error: BaseException) -> None:
    assert (is_transient(error), is_permanent(error)) == (False, False)


def test_a_failure_says_what_where_and_what_to_do_and_survives_a_process() -> None:
    failure = StatementError.of(NotFound("table t"), "sync/merge_draws.sql", "job_1", "1 attempt in 3.0 s")
    where = "sync/merge_draws.sql failed after 1 attempt in 3.0 s (job job_1): NotFound: 404 table t"
    for one in (failure, pickle.loads(pickle.dumps(failure))):  # noqa: S301 - our own bytes
        assert str(one).startswith(where)
        assert "Look at the job" in str(one)
        assert (one.statement, one.job_id, one.not_found, one.permanent) == (
            "sync/merge_draws.sql",
            "job_1",
            True,
            True,
        )
    assert (reason_of(failure), reason_of(KeyError())) == ("NotFound", "KeyError")


def test_a_time_out_says_so() -> None:
    failure = StatementError.of(TimeoutError(), "a.sql", None, "1 attempt in 30.0 s")
    assert "a.sql timed out after 1 attempt in 30.0 s (job not started): TimeoutError: no answer." in str(failure)
