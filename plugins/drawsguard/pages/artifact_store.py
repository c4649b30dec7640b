"""The store of the artifacts as pages need it, and how it is asked: nobody waits for it without an end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from drawsguard.artifacts import Listing, NoSuchArtifactError
from drawsguard.pages.cache import GIVE_UP, MOST_AT_ONCE, SourceUnavailableError
from drawsguard.refusal import RefusedError

log = logging.getLogger(__name__)

#: What people read when it does not answer; no address, no account.
STORE = "产物存储 the store of artifacts (artifacts_address)"
_T = TypeVar("_T")
_room = threading.BoundedSemaphore(MOST_AT_ONCE)


class Artifacts(Protocol):
    """All artifacts, by their names below the root; anything but the errors named here: the store does not answer.

    A name that no artifact can have is a RefusedError.
    """

    def drafts(self) -> AbstractContextManager[Path]:
        """Give a folder of this machine that goes away at the end."""

    def listing(self, depth: int) -> Listing:
        """Return the files whose names have so many parts at most."""

    def stream(self, name: str) -> Iterator[bytes]:
        """Return the content of a file; NoSuchArtifactError when there is none."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name."""

    def keep(self, name: str, content: bytes) -> str:
        """Store a file whole; returns its address."""


def ask_store(act: Callable[[], _T], give_up: float = GIVE_UP) -> _T:
    """Ask the store something.

    :param give_up: how long it is waited for (seconds).
    :raises SourceUnavailableError: when it fails, does not answer in time, or too many wait for it already.
    :raises NoSuchArtifactError: :raises RefusedError: as the store raises them.
    """
    if not _room.acquire(blocking=False):
        raise SourceUnavailableError(STORE, f"{MOST_AT_ONCE} requests wait for it already")
    answer: Future[_T] = Future()

    def ask() -> None:
        try:
            answer.set_result(act())
        except Exception as error:  # noqa: BLE001 - it belongs to the one who waits
            answer.set_exception(error)
        finally:
            _room.release()

    # A thread that is stuck in a driver must not keep the API server from ending.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(give_up)
    except (NoSuchArtifactError, RefusedError):
        raise
    except Exception as error:
        reason = type(error).__name__ if answer.done() else f"no answer within {give_up:g} s"
        log.warning("A page cannot use the store of the artifacts: %s", reason, exc_info=True)
        raise SourceUnavailableError(STORE, reason) from error
