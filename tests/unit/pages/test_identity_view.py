"""How the identity page judges: old results are none, findings that cannot be read are findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.identity.checks import CHECKS
from drawsguard.identity.model import load_services
from drawsguard.pages.identity_view import CHECK_WORDS, ActRow, CheckRow, findings_of, repairs_of, services_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(number: int, status: str, age: timedelta = timedelta(minutes=1), findings: str = "[]") -> CheckRow:
    return CheckRow("collector", number, "n", NOW - age, status, findings, "r")


def test_every_check_has_words() -> None:
    assert set(CHECK_WORDS) == {name for _, name, _ in CHECKS}


@pytest.mark.parametrize(
    ("status", "age", "judged"),
    [
        ("pass", timedelta(minutes=15), "pass"),
        ("pass", timedelta(minutes=15, seconds=1), "missing"),
        ("warn", timedelta(), "warn"),
        ("fail", timedelta(), "fail"),
        ("of another version", timedelta(), "fail"),
    ],
)
def test_a_result_counts_while_it_is_fresh_and_known(status: str, age: timedelta, judged: str) -> None:
    collector = services_of(load_services(), [row(1, status, age)], {}, NOW)[0]
    assert collector.cells[0].status == judged
    assert [cell.status for cell in collector.cells[1:]] == ["missing"] * 6


def test_the_worst_check_is_the_services() -> None:
    rows = [row(number, "pass") for number in range(1, 8)]
    assert services_of(load_services(), rows, {}, NOW)[0].status == "pass"
    rows[3] = row(4, "warn")
    assert services_of(load_services(), rows, {}, NOW)[0].status == "warn"
    assert services_of(load_services(), rows[:6], {}, NOW)[0].status == "missing"
    rows[5] = row(6, "fail")
    assert services_of(load_services(), rows, {}, NOW)[0].status == "fail"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
def test_findings_that_cannot_be_read_are_one(text: str) -> None:
    assert [one["code"] for one in findings_of(text)] == ["unreadable"]
    assert findings_of("[]") == []


def test_the_newest_repair_of_a_service_is_its_last_run() -> None:
    def act(minutes: int, action: str, run: str, service: str = "collector") -> ActRow:
        return ActRow(NOW - timedelta(minutes=minutes), service, action, "a", None, f"{run} {action}", run)

    acts = [
        act(1, "approved", "new"), act(2, "planned", "new"), act(3, "verified", "other", "b"), act(9, "planned", "old"),
    ]  # fmt: skip
    found = repairs_of(acts)
    assert [one.action for one in found["collector"].acts] == ["planned", "approved"]
    assert found["collector"].plan == "new planned"
    assert found["b"].plan == ""
