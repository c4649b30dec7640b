"""Missing telemetry must not look like non-use."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from drawsguard.points.policy import get_policy
from drawsguard.points.review.evidence import EvidenceRefusedError, Window, check_age, check_days, check_readable
from drawsguard.points.review.usage import UnknownMetrics
from drawsguard.points.telemetry.config import points_config

WINDOW = Window.ending(date(2024, 7, 30), 180)
COMPLETE = dict.fromkeys(WINDOW.days, 1440)


def test_a_window_of_180_days_ends_with_its_last_day() -> None:
    assert (len(WINDOW.days), WINDOW.days[0], WINDOW.days[-1]) == (180, date(2024, 2, 2), date(2024, 7, 30))


def test_a_missing_day_is_refused_by_name_and_nothing_else() -> None:
    check_days(COMPLETE, WINDOW, points_config().quality)
    days = {day: minutes for day, minutes in COMPLETE.items() if day != date(2024, 5, 3)}
    with pytest.raises(EvidenceRefusedError, match=r"1 day.s. missing .2024-05-03.*not non-use"):
        check_days(days, WINDOW, points_config().quality)


def test_a_short_day_is_refused_with_its_minutes() -> None:
    tolerance = points_config().quality.minutes_tolerance
    check_days(COMPLETE | {date(2024, 5, 3): 1440 - tolerance}, WINDOW, points_config().quality)
    with pytest.raises(EvidenceRefusedError, match=r"2024-05-03 .1434 min."):
        check_days(COMPLETE | {date(2024, 5, 3): 1440 - tolerance - 1}, WINDOW, points_config().quality)


def test_stale_evidence_is_refused() -> None:
    rules = get_policy().evidence
    check_age(WINDOW.last, WINDOW.last + timedelta(days=rules.max_age_days), rules)
    with pytest.raises(EvidenceRefusedError, match="stale"):
        check_age(WINDOW.last, WINDOW.last + timedelta(days=rules.max_age_days + 1), rules)


def test_empty_or_unreadable_statistics_are_refused() -> None:
    rules = get_policy().evidence
    check_readable(UnknownMetrics(rows=1, total=1000), rules)
    with pytest.raises(EvidenceRefusedError, match="empty"):
        check_readable(UnknownMetrics(), rules)
    with pytest.raises(EvidenceRefusedError, match=r"unreadable.*xyz"):
        check_readable(UnknownMetrics(rows=20, total=1000, samples=["xyz"]), rules)
