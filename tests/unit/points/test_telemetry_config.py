"""The rules of the usage evidence are checked when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from drawsguard.points.consolidation import CheckCountError, check_minutes
from drawsguard.points.telemetry_config import POINTS_CONFIG, cluster_instances, points_config


def test_an_unknown_entry_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "points.yaml"
    wrong.write_text(POINTS_CONFIG.read_text(encoding="utf-8") + "\nsurprise: 1\n", encoding="utf-8")
    with pytest.raises(ValidationError, match="surprise"):
        points_config(wrong)


def test_a_pattern_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "points.yaml"
    text = POINTS_CONFIG.read_text(encoding="utf-8").replace("?P<number>", "")
    wrong.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError, match="oper_type_pattern"):
        points_config(wrong)


def test_every_cluster_has_its_instances() -> None:
    clusters = cluster_instances()
    assert len(clusters) == 11
    assert clusters["redis_evt_A"] == ("evt-001-redis", "evt-004-redis")
    assert clusters["redis_jjfish"] == ("jjfish-001-redis",)
    assert all(clusters.values())


@pytest.mark.parametrize("minutes", [None, 0, 1434, 1441])
def test_a_day_that_is_not_whole_is_not_consolidated(minutes: int | None) -> None:
    with pytest.raises(CheckCountError, match="1435 to 1440 minutes"):
        check_minutes("daily_2024-07-30_2024-07-30", minutes, points_config().quality)


@pytest.mark.parametrize("minutes", [1435, 1440])
def test_a_whole_day_is_consolidated(minutes: int) -> None:
    check_minutes("daily_2024-07-30_2024-07-30", minutes, points_config().quality)
