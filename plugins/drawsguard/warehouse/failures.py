"""How a BigQuery statement fails, and the one list of what is transient."""

from __future__ import annotations

import re

from google.api_core.exceptions import (
    ClientError,
    GoogleAPIError,
    NotFound,
    RetryError,
    ServerError,
    TooManyRequests,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from jinja2 import TemplateError
from requests import exceptions as http

#: What the client raises when a statement cannot be run to its end. The built-in TimeoutError is what
#: ``QueryJob.result(timeout=…)`` raises, and no GoogleAPIError.
CLIENT_ERRORS = (GoogleAPIError, GoogleAuthError, http.RequestException, ConnectionError, TimeoutError)

#: Reasons of BigQuery's 4xx answers that pass by themselves.
_TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "tableUnavailable",
    }
)

#: Messages of 400 answers that pass by themselves although their reason (invalidQuery, resourcesExceeded) says
#: otherwise: two statements changed one table at once, or more than 20 wait for it.
_TRANSIENT_MESSAGES = re.compile(
    r"Could not serialize access to table .{0,300}due to concurrent update|Too many DML statements outstanding",
    re.IGNORECASE | re.DOTALL,
)


class StatementError(RuntimeError):
    """A statement did not run to its end; its effect is unknown, and running it again is safe.

    The client's own error is the ``__cause__``.

    :param statement: file below ``include/sql/bigquery``.
    :param job_id: the job in BigQuery's history; None when none was started.
    :param reason: class of the client's error, e.g. ``BadRequest``.
    :param transient: see `is_transient`.
    :param permanent: see `is_permanent`.
    :param not_found: a table, view or dataset is missing.
    """

    def __init__(
        self,
        message: str,
        *,
        statement: str = "",
        job_id: str | None = None,
        reason: str = "",
        transient: bool = False,
        permanent: bool = False,
        not_found: bool = False,
    ) -> None:
        super().__init__(message)
        self.statement = statement
        self.job_id = job_id
        self.reason = reason
        self.transient = transient
        self.permanent = permanent
        self.not_found = not_found

    @classmethod
    def of(cls, error: BaseException, statement: str, job_id: str | None, spent: str) -> StatementError:
        """Return the failure of ``statement`` that the client reported as ``error``.

        :param spent: what was spent on it, for the message, e.g. ``3 attempts in 12.3 s``.
        """
        transient = is_transient(error)
        timed_out = isinstance(error, TimeoutError | http.Timeout | RetryError)
        if timed_out:
            advice = "It took longer than its time limit: look at the job's slots and bytes, then run it again."
        elif transient:
            advice = "This passes by itself: run it again."
        else:
            advice = "Look at the job in BigQuery's history; change what it complains about before running it again."
        what = "timed out" if timed_out else "failed"
        return cls(
            f"{statement} {what} after {spent} (job {job_id or 'not started'}): "
            f"{type(error).__name__}: {str(error) or 'no answer'}. {advice}",
            statement=statement,
            job_id=job_id,
            reason=type(error).__name__,
            transient=transient,
            permanent=is_permanent(error),
            not_found=isinstance(error, NotFound),
        )


def is_transient(error: BaseException) -> bool:
    """Whether an error is known to pass by itself: an outage, a time-out, a limit, a conflict of writers."""
    if isinstance(error, StatementError):
        return error.transient
    if isinstance(error, http.SSLError):
        return False
    if isinstance(error, ClientError) and not isinstance(error, TooManyRequests):
        reasons = {detail.get("reason") for detail in error.errors or [] if isinstance(detail, dict)}
        return bool(reasons & _TRANSIENT_REASONS) or _TRANSIENT_MESSAGES.search(str(error)) is not None
    if isinstance(error, GoogleAuthError):
        return isinstance(error, TransportError) or bool(error.retryable)
    transient_types = (
        TooManyRequests,
        ServerError,
        RetryError,
        ConnectionError,
        TimeoutError,  # also concurrent.futures.TimeoutError, which is the same class since Python 3.11
        http.ConnectionError,
        http.Timeout,
        http.ChunkedEncodingError,
    )
    return isinstance(error, transient_types)


def is_permanent(error: BaseException) -> bool:
    """Whether running the same again cannot succeed without a change: of the statement, a value, a table, a right.

    What is neither this nor transient is not known to be either; it may be tried again a limited number of times.
    """
    if isinstance(error, StatementError):
        return error.permanent
    if isinstance(error, ClientError):
        return not is_transient(error)
    # Some errors of requests are ValueErrors; only what the code itself got wrong is permanent.
    return isinstance(error, TemplateError | TypeError | ValueError) and not isinstance(error, http.RequestException)


def reason_of(error: BaseException) -> str:
    """Return the class of an error for a log: that of the client's error when a statement failed."""
    return error.reason if isinstance(error, StatementError) else type(error).__name__
