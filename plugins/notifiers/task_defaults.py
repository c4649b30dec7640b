"""What every task of a DAG has unless it says otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from notifiers.task_signal import report_failure, report_success

#: A retry would be refused for the same reason, and the person who asked would learn it minutes later.
REFUSALS_ARE_FINAL = ExceptionRetryPolicy([RetryRule(RefusedError, RetryAction.FAIL, reason="refused: no retry")])


def task_defaults(owner: str, **overrides: Any) -> dict[str, Any]:
    """Return ``default_args``: owner, retries with exponential backoff, and the alert on a final failure.

    :param owner: the team, e.g. ``get_settings().draws_owner``.
    :param overrides: task arguments that differ for this DAG, with the reason beside them.
    """
    return {
        "owner": owner,
        "retries": 3,
        "retry_delay": timedelta(seconds=get_settings().task_retry_seconds),
        "retry_exponential_backoff": 2.0,  # a multiplier: each wait is twice the one before
        "max_retry_delay": timedelta(minutes=2),
        "retry_policy": REFUSALS_ARE_FINAL,
        "execution_timeout": timedelta(minutes=10),
        "on_failure_callback": report_failure,
        "on_success_callback": report_success,
    } | overrides
