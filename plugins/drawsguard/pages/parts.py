"""A page of several parts, each with its own source: one that does not answer leaves the others readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drawsguard.pages.cache import Part, Reading, SharedReadings, SourceUnavailableError, StillReadingError


@dataclass(frozen=True)
class Problem:
    """Why a part of a page is not there.

    :param reading: it is on its way.
    """

    source: str
    reason: str
    reading: bool


@dataclass(frozen=True)
class Parts:
    """What was read for a page, by the names of its parts; a name has a reading or a problem."""

    readings: Mapping[str, Reading]
    problems: Mapping[str, Problem]

    def get(self, name: str) -> Any:
        """Return what was read; None when there is a problem."""
        reading = self.readings.get(name)
        return reading and reading.value

    @property
    def as_of(self) -> datetime | None:
        """How old the oldest part is."""
        return min((one.as_of for one in self.readings.values()), default=None)

    @property
    def status(self) -> int:
        """The HTTP status of the page."""
        return 503 if any(not one.reading for one in self.problems.values()) else 200

    @property
    def refresh(self) -> int:
        """Seconds after which the page reads itself again."""
        return 2 if any(one.reading for one in self.problems.values()) else 20


def read_parts(shared: SharedReadings, parts: list[Part]) -> Parts:
    """Read the parts of a page side by side."""
    found = shared.several(parts)
    return Parts(
        {str(key): one for key, one in found.items() if isinstance(one, Reading)},
        {
            str(key): Problem(one.source, one.reason, isinstance(one, StillReadingError))
            for key, one in found.items()
            if isinstance(one, SourceUnavailableError)
        },
    )
