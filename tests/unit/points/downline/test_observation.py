"""Who is notified ahead of a cleanup, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from drawsguard.points.downline.observe import Notice, due_notices

UNTIL = datetime.fromisoformat("2024-09-01")
OWNERS = {1: "chenwei", 2: "", 3: "chenwei"}


def due(days_left: float, sent: set[tuple[int, str]] | None = None) -> list[Notice]:
    return due_notices(OWNERS, UNTIL, UNTIL - timedelta(days=days_left), (14, 7), sent or set())


@pytest.mark.parametrize("days_left", [30, 14.01, 0, -1])
def test_nobody_is_told_too_early_or_too_late(days_left: float) -> None:
    assert due(days_left) == []


def test_each_owner_gets_one_list_and_ownerless_points_go_to_the_team() -> None:
    assert due(14) == [Notice(14, "", (2,)), Notice(14, "chenwei", (1, 3))]


def test_a_notice_is_sent_once() -> None:
    assert due(10, {(14, "chenwei"), (14, "")}) == []
    assert due(10, {(14, "")}) == [Notice(14, "chenwei", (1, 3))]


def test_the_second_notice_follows_and_a_late_start_sends_only_the_nearest() -> None:
    assert [notice.days_before for notice in due(7, {(14, "chenwei"), (14, "")})] == [7, 7]
    assert {notice.days_before for notice in due(3)} == {7}
