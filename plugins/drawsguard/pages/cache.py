"""What all viewers of a page share: one reading of its sources, for some seconds, by one thread at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)

#: How long a page waits for a first reading before it says that it is under way (seconds).
PATIENCE = 0.8
#: A source that has not answered for so long does not answer (seconds).
GIVE_UP = 30.0
#: After a failure the source is left alone for so long (seconds).
RETRY = 5.0
#: What is older than this many times its age limit is not shown while it is read again.
STALE_TIMES = 5
#: Readings that are under way at a time; what comes on top has to be asked for again.
MOST_AT_ONCE = 16
#: Without news a reading is kept at most so long (seconds): a store may tell of its news late.
LONGEST = 300.0


class SourceUnavailableError(RuntimeError):
    """A source of a page failed, or does not answer; the log of the API server has the reason.

    :param source: which one, for people.
    :param reason: short; names no host and no account.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class StillReadingError(SourceUnavailableError):
    """The first reading of a source is under way: ask again in a moment."""

    def __init__(self, source: str) -> None:
        super().__init__(source, "is being read")


@dataclass(frozen=True)
class Reading:
    """What was read, and when (aware) it was last known to be so."""

    value: Any
    as_of: datetime


@dataclass(frozen=True)
class Part:
    """One thing to read.

    :param source: what is read from, for people who see that it fails.
    :param seconds: age from which it is read again.
    :param news: a cheap mark of the state of the source; while it stays the same nothing is read again. None, or a mark
        that is None: nothing is known, and it is read.
    """

    key: Hashable
    source: str
    read: Callable[[], Any] = field(repr=False)
    seconds: float
    news: Callable[[], Hashable] | None = field(default=None, repr=False)


@dataclass
class _Entry:
    reading: Reading | None = None
    read_at: float = 0.0
    verified_at: float = 0.0
    mark: Hashable = None
    failure: str | None = None
    failed_at: float = 0.0
    running: threading.Event | None = field(default=None, repr=False)
    started_at: float = 0.0


class SharedReadings:
    """Readings by key. Nobody waits for a reading that is merely old: it is shown, and read again behind it.

    :param patience: how long a caller waits for a first reading (seconds).
    :param give_up: when a source that is being read counts as one that does not answer (seconds).
    :param size: keys that are kept; the one used longest ago goes first.
    """

    def __init__(self, patience: float = PATIENCE, give_up: float = GIVE_UP, size: int = 256) -> None:
        self._patience, self._give_up, self._size = patience, give_up, size
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)

    def get(self, part: Part) -> Reading:
        """Return a part, at most a little older than its age limit.

        :raises StillReadingError: when its first reading is under way.
        :raises SourceUnavailableError: when its source failed, or does not answer.
        """
        found = self.several([part])[part.key]
        if isinstance(found, SourceUnavailableError):
            raise found
        return found

    def several(self, parts: list[Part]) -> Mapping[Hashable, Reading | SourceUnavailableError]:
        """Return parts by their keys, read side by side, each with a reading or what stands in its way."""
        entries = [(part, self._begin(part)) for part in parts]
        end = time.monotonic() + self._patience
        found: dict[Hashable, Reading | SourceUnavailableError] = {}
        for part, entry in entries:
            running = entry.running  # before it is asked: it may end in between
            known = self._known(part, entry)
            if known is None and running is not None:
                running.wait(max(0.0, end - time.monotonic()))
                known = self._known(part, entry)
            found[part.key] = known or StillReadingError(part.source)
        return found

    def _begin(self, part: Part) -> _Entry:
        """Return the entry of a part; it is being read when it has to be."""
        with self._lock:
            entry = self._entries.setdefault(part.key, _Entry())
            self._entries.move_to_end(part.key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
            now = time.monotonic()
            fresh = entry.reading is not None and not entry.failure and now - entry.verified_at < part.seconds
            resting = entry.failure is not None and now - entry.failed_at < RETRY
            if entry.running is None and not fresh and not resting and self._room.acquire(blocking=False):
                entry.running, entry.started_at = threading.Event(), now
                # A thread that is stuck in a driver must not keep the API server from ending.
                threading.Thread(target=self._read, args=(entry, part), daemon=True).start()
            return entry

    def _known(self, part: Part, entry: _Entry) -> Reading | SourceUnavailableError | None:
        """Return what can be said now; None while the first reading is under way."""
        with self._lock:
            now = time.monotonic()
            if entry.running and now - entry.started_at >= self._give_up:
                return SourceUnavailableError(part.source, f"no answer within {self._give_up:g} s")
            if entry.failure:
                return SourceUnavailableError(part.source, entry.failure)
            if entry.reading and (entry.running is None or now - entry.verified_at < STALE_TIMES * part.seconds):
                return entry.reading
            return None

    def _read(self, entry: _Entry, part: Part) -> None:
        as_of, begun = datetime.now(UTC), time.monotonic()
        reading, mark, failure = entry.reading, None, None
        unchanged = False
        try:
            mark = part.news() if part.news else None
            same = mark is not None and mark == entry.mark and begun - entry.read_at < LONGEST
            unchanged = same and reading is not None and not entry.failure
            value = reading.value if unchanged and reading else part.read()
        except Exception as error:
            log.warning("A page cannot read %s", part.source, exc_info=True)
            value, failure = None, type(error).__name__
        with self._lock:
            if failure is None:
                entry.reading, entry.verified_at, entry.mark = Reading(value, as_of), time.monotonic(), mark
                entry.read_at = entry.read_at if unchanged else begun
            entry.failure, entry.failed_at = failure, time.monotonic()
            running, entry.running = entry.running, None
        self._room.release()
        if running:
            running.set()
