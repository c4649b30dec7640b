"""The states of a batch, and which may follow which; `BatchRepository.move` is the only way from one to another.

``downlining`` begins before the first row changes and ends when an environment is verified, which starts the
observation again. So a batch is never cleaned while one of its rows is not observed, and what is being cleaned, or was,
takes no further row out of service.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class BatchState(StrEnum):
    """Where a batch stands."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    DOWNLINING = "downlining"
    DOWNLINED = "downlined"
    CLEANING = "cleaning"
    CLEANED = "cleaned"


#: What may follow each state.
FOLLOWING: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.REPORTED: frozenset({BatchState.CONFIRMED}),
    BatchState.CONFIRMED: frozenset({BatchState.CONFIRMED, BatchState.DOWNLINING}),
    BatchState.DOWNLINING: frozenset({BatchState.DOWNLINING, BatchState.DOWNLINED}),
    # Verified again: the next environment, or the same one once more; its observation starts again.
    BatchState.DOWNLINED: frozenset(
        {BatchState.DOWNLINING, BatchState.DOWNLINED, BatchState.CLEANING, BatchState.CLEANED}
    ),
    BatchState.CLEANING: frozenset({BatchState.CLEANING, BatchState.CLEANED}),
    BatchState.CLEANED: frozenset(),
}


def may_follow(state: str, following: BatchState) -> bool:
    """Return whether a batch in ``state`` may become ``following``."""
    return following in FOLLOWING[BatchState(state)]
