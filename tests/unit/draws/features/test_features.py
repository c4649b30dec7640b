"""What is generated from the definitions of the features is what is checked in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drawsguard.draws.features.definitions import COMPUTED_COLUMNS, FEATURES, generated_files
from drawsguard.draws.features.refresh import Span, joined
from drawsguard.draws.sync.review import REVIEW_DAYS, review_window


@pytest.mark.parametrize("path", generated_files(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text() == generated_files()[path], (
        "run `python -m drawsguard.draws.features.definitions` in plugins/"
    )


def test_names_are_unique() -> None:
    assert len(set(COMPUTED_COLUMNS)) == len(COMPUTED_COLUMNS)


def test_every_feature_of_the_first_version_is_there() -> None:
    first = {"lag_1_sum", "lag_2_sum", "lag_3_sum", "rolling_avg_3", "rolling_std_3", "big_count_3", "odd_count_3"}
    assert first <= {feature.name for feature in FEATURES}


def _day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


def test_changed_draws_whose_dependents_meet_are_one_span() -> None:
    spans = [Span(200, 210, 3), Span(100, 150, 7), Span(170, 170, 1), Span(231, 231, 1)]
    assert joined(spans, 20) == [Span(100, 170, 8), Span(200, 210, 3), Span(231, 231, 1)]


def test_a_review_comes_to_every_day() -> None:
    days = [_day(number) for number in range(0, 2 * (2 * REVIEW_DAYS + 50), 2)]
    statements: Any = SimpleNamespace(rows=lambda *_args, **_values: [{"day": day} for day in days])
    windows = [review_window(statements, _day(today)) for today in range(3)]
    assert all(any(w and w.start <= day < w.end for w in windows) for day in days)
    nothing: Any = SimpleNamespace(rows=lambda *_args, **_values: [])
    assert review_window(nothing, _day(0)) is None
