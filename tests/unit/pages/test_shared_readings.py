"""Viewers share one reading; nobody waits for a reading that is merely old, or for a source that is stuck."""

from __future__ import annotations

import threading
import time

import pytest

from drawsguard.pages.cache import (
    MOST_AT_ONCE,
    Part,
    Reading,
    SharedReadings,
    SourceUnavailableError,
    StillReadingError,
)


def wait_until(condition: object, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_viewers_share_a_reading_and_one_thread_reads() -> None:
    reads: list[int] = []
    begun = threading.Event()

    def read() -> int:
        reads.append(1)
        begun.wait(5)
        return len(reads)

    shared, found = SharedReadings(patience=5), []
    viewers = [
        threading.Thread(target=lambda: found.append(shared.get(Part("k", "MySQL", read, 60)).value)) for _ in range(5)
    ]
    for viewer in viewers:
        viewer.start()
    begun.set()
    for viewer in viewers:
        viewer.join()
    assert found == [1] * 5
    assert reads == [1]


def test_an_old_reading_is_shown_while_it_is_read_again() -> None:
    shared, read_again = SharedReadings(patience=5), threading.Event()
    shared.get(Part("k", "MySQL", lambda: 0, 60))
    time.sleep(1.01)

    def read() -> int:
        read_again.wait(60)
        return 1

    assert shared.get(Part("k", "MySQL", read, 1)).value == 0
    read_again.set()
    wait_until(lambda: shared.get(Part("k", "MySQL", read, 60)).value == 1)


def test_a_reading_that_is_much_too_old_is_not_shown() -> None:
    shared, numbers = SharedReadings(patience=5), iter(range(10))
    shared.get(Part("k", "MySQL", lambda: next(numbers), 0.01))
    time.sleep(0.1)
    assert shared.get(Part("k", "MySQL", lambda: next(numbers), 0.01)).value == 1


def test_a_source_that_fails_is_named_and_left_alone_for_a_while() -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise ConnectionError("host:3306")

    shared = SharedReadings(patience=5)
    for _ in range(3):
        with pytest.raises(SourceUnavailableError, match=r"MySQL: ConnectionError$"):
            shared.get(Part("k", "MySQL", fails, 60))
    assert calls == [1]


def test_a_failure_hides_what_was_read_before() -> None:
    shared = SharedReadings(patience=5)
    shared.get(Part("k", "MySQL", lambda: 1, 0))

    def fails() -> None:
        raise ConnectionError

    wait_until(lambda: _refused(shared, fails))


def _refused(shared: SharedReadings, read: object) -> bool:
    try:
        shared.get(Part("k", "MySQL", read, 0))  # type: ignore[arg-type]
    except SourceUnavailableError:
        return True
    return False


def test_nobody_waits_for_a_first_reading_and_one_that_is_stuck_is_given_up() -> None:
    stuck = threading.Event()
    shared = SharedReadings(patience=0.02, give_up=3)
    part = Part("k", "MySQL", lambda: stuck.wait(60), 60)
    with pytest.raises(StillReadingError, match="MySQL: is being read"):
        shared.get(part)
    time.sleep(3)
    with pytest.raises(SourceUnavailableError, match=r"no answer within 3 s"):
        shared.get(part)
    stuck.set()
    wait_until(lambda: _answers(shared, part))


def _answers(shared: SharedReadings, part: Part) -> bool:
    return isinstance(shared.several([part])["k"], Reading)


def test_parts_are_read_side_by_side_and_fail_apart() -> None:
    both = threading.Barrier(2, timeout=5)

    def fails() -> None:
        both.wait()
        raise KeyError

    shared = SharedReadings(patience=5)
    found = shared.several([Part("a", "MySQL", both.wait, 60), Part("b", "BigQuery", fails, 60)])
    assert isinstance(found["a"], Reading)
    assert isinstance(found["b"], SourceUnavailableError)
    assert (found["b"].source, found["b"].reason) == ("BigQuery", "KeyError")


@pytest.mark.parametrize(("marks", "reads"), [(["1", "1"], 1), (["1", "2"], 2), ([None, None], 2)])
def test_without_news_nothing_is_read_again(marks: list[str | None], reads: int) -> None:
    shared, told, done = SharedReadings(patience=5), iter(marks), []
    part = Part("k", "BigQuery", lambda: done.append(1), 0.01, lambda: next(told))
    first = shared.get(part)
    time.sleep(0.1)
    second = shared.get(part)
    assert second.as_of > first.as_of, "it is known to be so now"
    assert len(done) == reads


def test_a_stuck_source_cannot_fill_the_process_with_threads() -> None:
    stuck, begun = threading.Event(), []
    shared = SharedReadings(patience=0)

    def read() -> None:
        begun.append(1)
        stuck.wait(5)

    found = shared.several([Part(number, "MySQL", read, 60) for number in range(MOST_AT_ONCE + 4)])
    assert {type(one) for one in found.values()} == {StillReadingError}
    wait_until(lambda: len(begun) == MOST_AT_ONCE)
    stuck.set()
    late = Part(MOST_AT_ONCE + 3, "MySQL", read, 60)
    wait_until(lambda: isinstance(shared.several([late])[late.key], Reading))


def test_what_was_used_longest_ago_goes_first() -> None:
    shared, reads = SharedReadings(size=2, patience=5), []
    for key in ("a", "b", "a", "c", "a", "b"):
        shared.get(Part(key, "MySQL", lambda key=key: reads.append(key), 60))
    assert reads == ["a", "b", "c", "b"]
