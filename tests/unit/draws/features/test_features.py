"""What is generated from the definitions of the features is what is checked in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawsguard.draws.features.definitions import COMPUTED_COLUMNS, FEATURES, generated_files
from drawsguard.draws.features.refresh import windows_to_check
from drawsguard.draws.window import Window


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


def _at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


def test_overlapping_windows_are_looked_at_once() -> None:
    recent = Window(_at(10), _at(12))
    synced = [Window(_at(1), _at(2)), Window(_at(9), _at(11)), Window(_at(2), _at(3))]
    assert windows_to_check(recent, synced) == [Window(_at(1), _at(3)), Window(_at(9), _at(12))]
