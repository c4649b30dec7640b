"""Whether a day of the legacy flow is complete enough to be added to the accumulated counts."""

from __future__ import annotations

from drawsguard.points.telemetry.config import QualityRules


class CheckCountError(ValueError):
    """The day's checkCount is missing or too far from a full day."""


def check_minutes(batch_id: str, minutes: int | None, rules: QualityRules) -> None:
    """Refuse a day without, or with a wrong, checkCount.

    :param minutes: the value of the row checkCount; None when there is no such row.
    :raises CheckCountError: with expected and actual minutes.
    """
    least = rules.minutes_a_day - rules.minutes_tolerance
    if minutes is None or not least <= minutes <= rules.minutes_a_day:
        found = "no row checkCount" if minutes is None else f"checkCount {minutes}"
        raise CheckCountError(
            f"Batch {batch_id} has {found}; a full day has {least} to {rules.minutes_a_day} minutes. It stays in "
            "ads_evt_ops_status_ago and is not added to ads_evt_ops_status. Have CMA deliver the day again, run "
            "points_hive_daily and points_push for the same run_date."
        )
