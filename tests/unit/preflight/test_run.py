"""Checks run within their time, none stops another, and the report says what there is to say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest

from drawsguard.preflight.catalogue import AREAS, checks
from drawsguard.preflight.model import Check, Finding, Row, Status, failed, passed, warned
from drawsguard.preflight.report import Report
from drawsguard.preflight.run import look, run
from drawsguard.settings import get_settings

WORLD: Any = mock.Mock()


def check(name: str, *findings: Finding, part: str = "a part", seconds: float = 5) -> Check:
    return Check(part, name, name, lambda _: findings, f"repair {name}", seconds)


def raising(world: Any) -> Iterator[Finding]:
    yield passed("the first half")
    raise ConnectionRefusedError("nobody listens\non port 3306")


def statuses(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.check.name, row.finding.status.value) for row in rows]


def test_a_check_that_raises_is_a_failure_that_names_the_cause_and_stops_nothing() -> None:
    broken = Check("b", "broken", "broken", raising, "repair it")
    rows = run([check("one", passed("fine")), broken, check("two", passed("fine"), part="c")], WORLD)
    assert statuses(rows) == [("one", "pass"), ("broken", "pass"), ("broken", "fail"), ("two", "pass")]
    assert rows[2].finding == failed("ConnectionRefusedError: nobody listens on port 3306", "repair it")


def test_a_check_that_hangs_is_a_failure_after_its_time() -> None:
    ended = threading.Event()
    hanging = Check("b", "hanging", "hanging", lambda _: [passed(str(ended.wait(30)))], "repair it", seconds=0.1)
    try:
        (finding,) = look(hanging, WORLD)
    finally:
        ended.set()
    assert finding.status is Status.FAIL
    assert "no answer within" in finding.found


def test_a_check_without_an_answer_never_passes() -> None:
    assert statuses(run([check("silent")], WORLD)) == [("silent", "fail")]


def test_what_does_not_answer_is_asked_once() -> None:
    asked = []
    later = Check("a part", "later", "later", lambda _: asked.append(1) or [passed("")], "")  # type: ignore[func-returns-value]
    rows = run([check("answers", failed("down", "start it")), later, check("other", passed(""), part="b")], WORLD)
    assert statuses(rows) == [("answers", "fail"), ("later", "fail"), ("other", "pass")]
    assert asked == []
    assert "not looked at" in rows[1].finding.found


def test_what_answers_is_looked_at_one_check_after_the_other() -> None:
    """A library that loads itself lazily fails when two threads make it do so at once."""
    running, most = [0], [0]
    lock = threading.Lock()

    def slow(_world: Any) -> list[Finding]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return [passed("fine")]

    listed = [
        one
        for part in "abc"
        for one in (check("answers", passed("up"), part=part), *(Check(part, f"c{n}", "", slow, "") for n in range(3)))
    ]
    assert [row.finding.status for row in run(listed, WORLD)] == [Status.PASS] * 12
    assert most == [1]


def test_all_parts_are_asked_at_once_whether_they_answer() -> None:
    together = threading.Barrier(3, timeout=5)
    asked = [Check(part, "answers", "", lambda _: [passed(str(together.wait()))], "") for part in "abc"]
    assert statuses(run(asked, WORLD)) == [("answers", "pass")] * 3


def test_a_fault_of_code_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    def faulty(_world: Any) -> list[Finding]:
        raise RuntimeError("dictionary changed size during iteration")

    (row,) = run([Check("a part", "faulty", "faulty", faulty, "")], WORLD)
    assert row.finding.status is Status.FAIL
    assert "in faulty" in caplog.text


def report(*findings: Finding) -> Report:
    rows = [Row(check(f"c{number}", finding), finding) for number, finding in enumerate(findings)]
    return Report(rows, datetime(2026, 3, 3, 1, 5, tzinfo=UTC), "here", get_settings())


def test_the_report_counts_and_is_ready_when_nothing_failed() -> None:
    assert report(passed("a"), warned("b", "look")).ready
    one = report(passed("a"), warned("b", "look"), failed("c", "do"))
    assert not one.ready
    assert one.counts() == {"checks": 3, "passed": 1, "failed": 1, "warned": 1}
    assert "尚未就绪 not ready" in one.subject


def test_the_console_shows_failures_last_with_what_to_do() -> None:
    lines = report(failed("broken", "repair it"), passed("fine"), warned("unsure", "look")).text().splitlines()
    assert lines[-3:-1] == ["✗ a part · c0: broken", "    → repair it"]
    assert lines[1] == "✓ a part · c1: fine"


def test_the_page_escapes_what_engines_say() -> None:
    page = report(failed("<script>alert(1)</script>", "<b>do</b>")).html()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;do" in page


def test_the_json_holds_what_the_page_needs() -> None:
    from drawsguard.templates import render_template

    one = report(warned("unsure", "look"))
    assert render_template("reports/preflight.html", **one.to_json()) == one.html()


def test_areas_are_chosen_by_name() -> None:
    assert len(checks()) == sum(map(len, AREAS.values()))
    assert {one.part for one in checks(["nos"])} == {"NOS"}
    with pytest.raises(ValueError, match="no area oracle; known: airflow, bigquery"):
        checks(["oracle"])


def test_every_check_has_a_time_limit_and_names_are_unique_within_their_part() -> None:
    assert all(0 < one.seconds <= 300 for one in checks())
    keys = [(one.part, one.name) for one in checks()]
    assert len(keys) == len(set(keys))


def test_the_first_check_of_each_part_asks_whether_it_answers_at_all() -> None:
    """The others are not run when it fails: one that answers only part of the question would hide them."""
    several = {one.part for one in checks() if sum(other.part == one.part for other in checks()) > 1}
    first = {part: next(one.name for one in checks() if one.part == part) for part in several}
    independent = {"Pub/Sub": "topic", "Alerts": "configured", "MySQL intranet + extranet": "apart"}
    assert first == {part: independent.get(part, "answers") for part in several}
