"""The param with which a person runs a daily DAG for another day."""

from __future__ import annotations

from airflow.sdk import Param


def run_date_param(chinese: str, english: str) -> Param:
    """Return a day, yyyy-MM-dd, or None for the day of the run.

    :param chinese: what the day means to this DAG; :param english: the same.
    """
    return Param(None, type=["null", "string"], format="date", description=f"{chinese}{english}")
