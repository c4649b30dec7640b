"""What is listed and may be started, and how the store is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawsguard.artifacts import ArtifactNameError, Listing, NoSuchArtifactError, StoredFile
from drawsguard.pages.artifact_store import ask_store
from drawsguard.pages.cache import MOST_AT_ONCE, SourceUnavailableError
from drawsguard.pages.files_view import MOST_FILES, by_folder, is_kept, shelves_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Memory:
    """A store of artifacts that is only in memory; it is asked for nothing but what is in ``files``."""

    def __init__(self, *files: str) -> None:
        self.files = files

    def drafts(self) -> AbstractContextManager[Path]:
        raise AssertionError("nothing is made")

    def listing(self, depth: int) -> Listing:
        return Listing(tuple(StoredFile(name, 1, NOW) for name in self.files if name.count("/") < depth), 0)

    def stream(self, name: str) -> Iterator[bytes]:
        raise NoSuchArtifactError(name)

    def exists(self, name: str) -> bool:
        return name in self.files

    def keep(self, name: str, content: bytes) -> str:
        raise AssertionError(f"{name} was kept: {content!r}")


def test_reports_are_a_shelf_of_their_own_and_probes_are_for_nobody() -> None:
    names = (
        "b1/review-b1.xlsx",
        "reports/daily.html",
        "reports/old/weekly.html",
        "preflight/host",
        "preflight",
        "a.xlsx",
    )
    files = tuple(StoredFile(name, 5, NOW - timedelta(hours=age)) for age, name in enumerate(names))
    shelves = shelves_of(Listing(files[::-1], 2))
    assert [one.name for one in shelves.workbooks] == ["b1/review-b1.xlsx", "preflight", "a.xlsx"], "the newest first"
    assert [one.name for one in shelves.reports] == ["reports/daily.html", "reports/old/weekly.html"]
    assert shelves.left_out == 2
    assert {name: len(found) for name, found in by_folder(shelves.workbooks).items()} == {"b1": 1, "": 2}


def test_the_oldest_of_many_files_are_left_out_and_counted() -> None:
    files = [StoredFile(f"b/{number}.md", 1, NOW - timedelta(hours=number)) for number in range(MOST_FILES + 3)]
    shelves = shelves_of(Listing((*files, StoredFile("reports/a.html", 1, NOW - timedelta(days=999))), 0))
    assert (len(shelves.workbooks), shelves.left_out) == (MOST_FILES, 3)
    assert shelves.workbooks[-1].name == f"b/{MOST_FILES - 1}.md"
    assert len(shelves.reports) == 1, "workbooks push out no report"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("b1/confirmed-b1-0123456789ab.xlsx", True),
        ("b1/review-b1.xlsx", False),
        ("b1/confirmed-b1-0123456789ac.xlsx", False),
        ("../secret", False),
        ("b1/../b1/confirmed-b1-0123456789ab.xlsx", False),
        ("", False),
        ("b1/confirmed-b1-0123456789ab.xlsx\n", False),
    ],
)
def test_only_what_the_check_kept_can_be_started(name: str, kept: bool) -> None:
    store = Memory("b1/review-b1.xlsx", "b1/confirmed-b1-0123456789ab.xlsx", "../secret", "")
    assert is_kept(name, store) == kept


@pytest.mark.parametrize("refusal", [NoSuchArtifactError("gone"), ArtifactNameError("a name")])
def test_what_the_store_says_of_a_name_is_no_failure_of_the_store(refusal: Exception) -> None:
    with pytest.raises(type(refusal)):
        ask_store(lambda: _raise(refusal))


def test_a_store_that_fails_or_hangs_is_said_and_holds_no_request_for_ever() -> None:
    with pytest.raises(SourceUnavailableError, match=r"ConnectionRefusedError$") as said:
        ask_store(lambda: _raise(ConnectionRefusedError("bucket-1 of account x")))
    assert "bucket-1" not in str(said.value)
    answered = threading.Event()
    for _ in range(MOST_AT_ONCE):
        with pytest.raises(SourceUnavailableError, match=r"no answer within 0\.01 s"):
            ask_store(answered.wait, give_up=0.01)
    with pytest.raises(SourceUnavailableError, match="requests wait for it already"):
        ask_store(lambda: True)
    answered.set()
    for _ in range(100):
        try:
            assert ask_store(lambda: True)
        except SourceUnavailableError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError("those who waited gave no room")


def _raise(error: Exception) -> None:
    raise error
