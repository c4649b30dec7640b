"""The rules of the usage evidence are checked when they are read."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import ValidationError

from drawsguard.points.telemetry.config import POINTS_CONFIG, cluster_instances, points_config
from drawsguard.points.telemetry.consolidation import CheckCountError, check_minutes


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


@pytest.mark.parametrize(
    ("minutes", "whole"), [(None, False), (0, False), (1434, False), (1435, True), (1440, True), (1441, False)]
)
def test_only_a_whole_day_is_consolidated(minutes: int | None, whole: bool) -> None:
    refused = pytest.raises(CheckCountError, match="1435 to 1440 minutes")
    with nullcontext() if whole else refused:
        check_minutes("daily_2024-07-30_2024-07-30", minutes, points_config().quality)
