"""One mail that is refused keeps no other; who was told is not told again, and the failure is reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifiers.told_once import NotAllToldError, send_each, tell_each


class Audit:
    """The audit of one batch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.now = datetime(2025, 10, 1, 2, tzinfo=UTC)

    def clock(self) -> datetime:
        return self.now

    def note(self, batch_id: str, event: str, actor: str, **detail: Any) -> None:
        assert (batch_id, actor) == ("b1", "airflow")
        self.rows.append({"event": event, "detail": detail, "at": self.now.replace(tzinfo=None)})

    def events(self, batch_id: str) -> list[dict[str, Any]]:
        assert batch_id == "b1"
        return self.rows


class Post:
    """A mail server that refuses some addresses."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.delivered: list[str] = []

    def letters(self, *names: str) -> dict[str, Any]:
        def send(name: str) -> None:
            if name in self.refused:
                raise OSError(f"550 no such user {name}")
            self.delivered.append(name)

        return {name: (lambda name=name: send(name)) for name in names}


@pytest.mark.parametrize("bad", ["a", "b", "c"])
def test_the_others_are_told_once_and_the_failure_is_named(bad: str) -> None:
    post, audit = Post(bad), Audit()
    letters = post.letters("a", "b", "c")
    for _ in range(2):  # a retry of the same run
        with pytest.raises(NotAllToldError, match=f"1 of 3 mails could not be sent.*550 no such user {bad}"):
            tell_each(audit, "b1", "run", letters)  # type: ignore[arg-type]
    assert post.delivered == [name for name in "abc" if name != bad]
    post.refused.clear()
    tell_each(audit, "b1", "run", letters)  # type: ignore[arg-type]
    assert sorted(post.delivered) == ["a", "b", "c"]
    tell_each(audit, "b1", "another run", letters)  # type: ignore[arg-type]
    assert len(post.delivered) == 6


def test_what_says_the_same_as_the_last_mail_is_not_sent_again() -> None:
    post, audit = Post("a"), Audit()
    letters = post.letters("a", "b")
    with pytest.raises(NotAllToldError, match="1 of 2"):
        tell_each(audit, "b1", "day 1", letters, "x")  # type: ignore[arg-type]
    post.refused.clear()
    for day, says in enumerate("xxyyx", start=2):
        tell_each(audit, "b1", f"day {day}", letters, says)  # type: ignore[arg-type]
    assert post.delivered == ["b", "a", "a", "b", "a", "b"]


def test_what_is_still_so_is_said_again_after_a_while() -> None:
    post, audit = Post(), Audit()
    for day in range(15):
        audit.now = datetime(2025, 10, 1 + day, 2, day % 3, tzinfo=UTC)  # a daily run, now earlier and now later
        for again_after in (None, timedelta(days=6.5)):
            tell_each(audit, "b1", f"day {day}", post.letters("a"), "x", again_after)  # type: ignore[arg-type]
    assert [row["at"].day for row in audit.rows] == [1, 8, 15]


def test_a_mail_that_cannot_be_noted_is_a_failure_too() -> None:
    post = Post()

    def broken(name: str) -> None:
        raise ConnectionError(f"gone before {name} was noted")

    with pytest.raises(NotAllToldError, match="2 of 2"):
        send_each(post.letters("a", "b"), (), broken)
    assert post.delivered == ["a", "b"]
