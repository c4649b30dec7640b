"""The files page: what people may download, and what a workbook that they upload would be taken for."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from drawsguard.artifacts import Listing, StoredFile
from drawsguard.pages.artifact_store import Artifacts, ask_store
from drawsguard.points.review.batch_repository import BatchRepository, BatchStateError
from drawsguard.points.review.candidate import Decision
from drawsguard.points.review.confirmed import Confirmed, Problem, WorkbookRefusedError, read_confirmed
from drawsguard.points.review.workbook_package import LIMITS

#: The largest workbook that is taken (bytes): what its reader takes.
MOST_BYTES = LIMITS.file_bytes
#: Parts of a name at most: a batch, a folder in it, a file.
DEPTH = 3
#: Files of a list at most; the oldest are left out.
MOST_FILES = 1000
#: What preflight writes there is for nobody.
_NOT_SHOWN = "preflight"
#: Inspection reports lie here, and take the read right of the DAGs that make them.
_REPORTS = "reports"
#: A confirmed workbook as `keep` names it, below the folder of its batch.
_KEPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}/confirmed-[A-Za-z0-9_-]{1,40}-[0-9a-f]{12}\.xlsx")
#: Rows of a list of decisions.
MOST_SHOWN = 500

_MEDIA_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
}


class Shelves(NamedTuple):
    """The files that are shown, the newest first.

    :param left_out: how many are not: of workbooks and reports the oldest, and files whose name no artifact can have.
    """

    workbooks: tuple[StoredFile, ...]
    reports: tuple[StoredFile, ...]
    left_out: int


def shelves_of(listing: Listing) -> Shelves:
    """Return what is shown of the artifacts."""
    shelves: dict[str, list[StoredFile]] = {_REPORTS: [], "": []}
    for file in sorted(listing.files, key=lambda one: one.changed_at, reverse=True):
        if file.folder != _NOT_SHOWN:
            shelves[_REPORTS if file.folder == _REPORTS else ""].append(file)
    beyond = sum(max(0, len(files) - MOST_FILES) for files in shelves.values())
    workbooks, reports = (tuple(shelves[name][:MOST_FILES]) for name in ("", _REPORTS))
    return Shelves(workbooks, reports, listing.unfit + beyond)


def media_type(name: str) -> str:
    """Return what a file's name says that it is."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def by_folder(files: Iterable[StoredFile]) -> dict[str, list[StoredFile]]:
    """Return the files by the folder they lie in, the one with the newest file first."""
    found: dict[str, list[StoredFile]] = {}
    for file in files:
        found.setdefault(file.folder, []).append(file)
    return found


# --- what was uploaded ----------------------------------------------------------------------------------------
class SheetCount(NamedTuple):
    """A sheet of a workbook: how many candidates it has, and how many of them go."""

    sheet: str
    candidates: int
    downline: int


class Downlined(NamedTuple):
    """A row that takes a point offline."""

    point: int
    decided: Confirmed


@dataclass(frozen=True)
class Checked:
    """What the check of an uploaded workbook says; with problems nothing was kept.

    :param name: what the person called the file; for people only.
    :param stored: name of the artifact as which it was kept; empty: it was not.
    :param goes_on: the batch went on with these decisions already.
    :param address: of the artifact, as mails name artifacts.
    """

    name: str
    problems: tuple[Problem, ...] = ()
    batch_id: str = ""
    sheets: tuple[SheetCount, ...] = ()
    rows: tuple[Downlined, ...] = ()
    stored: str = ""
    goes_on: bool = False
    address: str = ""

    @property
    def candidates(self) -> int:
        """Candidates in all sheets."""
        return sum(one.candidates for one in self.sheets)


def check_workbook(name: str, content: bytes, batches: BatchRepository, artifacts: Artifacts) -> Checked:
    """Let the reader of confirmed workbooks judge an uploaded one, and keep it when it is accepted.

    Nothing is triggered and no decision stored: that is done by points_downline, which reads the workbook again.

    :param name: what the person called it.
    :param artifacts: it is kept there below the folder of its batch, named by its content.
    :raises SourceUnavailableError: when it could not be kept.
    """
    with artifacts.drafts() as scratch:
        path = scratch / "uploaded.xlsx"
        path.write_bytes(content)
        try:
            batch_id, decisions = read_confirmed(path, batches.known)
            undecided = batches.require_decidable(batch_id, decisions)
        except WorkbookRefusedError as refused:
            return Checked(name, tuple(refused.problems))
        except BatchStateError as refused:
            return Checked(name, (Problem("", 0, str(refused)),))
    stored = f"{batch_id}/confirmed-{batch_id}-{hashlib.sha256(content).hexdigest()[:12]}.xlsx"
    address = ask_store(lambda: artifacts.keep(stored, content))
    counts = Counter(one.sheet for one in decisions.values())
    going = [Downlined(point, one) for point, one in decisions.items() if one.decision is Decision.DOWNLINE]
    gone = Counter(one.decided.sheet for one in going)
    return Checked(
        name, (), batch_id, tuple(SheetCount(sheet, count, gone[sheet]) for sheet, count in counts.items()),
        tuple(going), stored, not undecided, address,
    )  # fmt: skip


def is_kept(name: str, artifacts: Artifacts) -> bool:
    """Whether a name is one under which `check_workbook` kept an accepted workbook.

    :raises SourceUnavailableError: when the store does not say.
    """
    return bool(_KEPT.fullmatch(name)) and ask_store(lambda: artifacts.exists(name))
