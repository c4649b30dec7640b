"""Read the confirmed workbook, and refuse every one that is not the reviewed workbook with decisions filled in.

Rows are found by id, so sorting and filtering are harmless. Formulas are never evaluated: a formula is a refusal.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from drawsguard.points.review.candidate import (
    BATCH_LABEL,
    DECISIONS,
    DIGEST_LABEL,
    EVIDENCE_COLUMNS,
    FIRST_DATA_ROW,
    HEADERS,
    SUMMARY_SHEET,
    Decision,
    row_digest,
)
from drawsguard.points.review.classify import PointClass
from drawsguard.refusal import RefusedError

#: Compound files: what an .xlsx with a password, or an old .xls, starts with.
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0"
#: Maximum size of a workbook's unpacked parts (bytes).
_UNPACKED_LIMIT = 2 * 1024**3
_CHUNK = 1 << 20
_MERGE = re.compile(rb'mergeCell\s+ref="([A-Z]+)(\d+)')
#: Problems that one refusal lists.
MOST_PROBLEMS = 200


class Problem(NamedTuple):
    """One reason for a refusal: sheet, row (0: the sheet as a whole) and what is wrong there."""

    sheet: str
    row: int
    reason: str

    def __str__(self) -> str:
        place = f"sheet {self.sheet}, row {self.row}" if self.row else f"sheet {self.sheet}"
        return f"{place}: {self.reason}"


class WorkbookRefusedError(RefusedError, ValueError):
    """The workbook was not accepted; ``problems`` names sheet, row and reason of each."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.problems = problems
        listed = "\n".join(f"- {problem}" for problem in problems[:MOST_PROBLEMS])
        more = "\n… and more; reading stopped there" if len(problems) > MOST_PROBLEMS else ""
        super().__init__(
            f"Workbook {path.name} is refused, nothing was changed. Fix these in the reviewed workbook (only the last "
            f"three columns may be filled in), or run points_usage_report again:\n{listed}{more}"
        )


class Confirmed(NamedTuple):
    """A reviewer's decision on one candidate, and its place in the workbook."""

    decision: Decision
    reviewer: str
    remark: str
    sheet: str
    row: int


class KnownCandidate(NamedTuple):
    """What the report stored about a candidate: its class and its row digest."""

    point_class: PointClass
    row_digest: str


@dataclass(frozen=True)
class KnownBatch:
    """What the report stored about a batch."""

    batch_id: str
    digest: str
    candidates: Mapping[int, KnownCandidate]


def read_confirmed(path: Path, find_batch: Callable[[str], KnownBatch | None]) -> tuple[str, dict[int, Confirmed]]:
    """Return the workbook's batch id and the decision on each of its candidates.

    :param find_batch: returns the stored batch of an id, or None.
    :raises WorkbookRefusedError: when anything is not as the report wrote it, apart from the decision columns.
    """
    _refuse_what_is_no_workbook(path)
    workbook = load_workbook(path, read_only=True, data_only=False, keep_links=False)
    try:
        batch_id = _batch_id(path, workbook)
        batch = find_batch(batch_id)
        if batch is None:
            raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 2, f"batch {batch_id!r} is not known here")])
        reader = _Reader(batch)
        for name in workbook.sheetnames:
            if name != SUMMARY_SHEET:
                sheet = workbook[name]
                # The library drops merged ranges when it streams; they are read from the sheet's XML part.
                reader.note_merged(name, _merged(path, sheet._worksheet_path))
                reader.read(name, sheet)
                if len(reader.problems) > MOST_PROBLEMS:
                    raise WorkbookRefusedError(path, reader.problems)
        reader.note_missing()
    finally:
        workbook.close()
    if reader.problems:
        raise WorkbookRefusedError(path, reader.problems)
    return batch_id, reader.confirmed


def _refuse_what_is_no_workbook(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_COMPOUND_FILE))
    if start == _COMPOUND_FILE:
        raise WorkbookRefusedError(
            path, [Problem("-", 0, "the file has a password (or is an old .xls): save it without")]
        )
    if not zipfile.is_zipfile(path):
        raise WorkbookRefusedError(path, [Problem("-", 0, "this is not an .xlsx file")])
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > _UNPACKED_LIMIT:
        raise WorkbookRefusedError(path, [Problem("-", 0, f"unpacks to {unpacked} bytes, limit {_UNPACKED_LIMIT}")])


def _batch_id(path: Path, workbook: Any) -> str:
    if SUMMARY_SHEET not in workbook.sheetnames:
        raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 0, "the sheet is missing")])
    for row in workbook[SUMMARY_SHEET].iter_rows(max_row=10, max_col=2, values_only=True):
        if row and row[0] == BATCH_LABEL and isinstance(row[1], str):
            return row[1]
    raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 2, f"no {BATCH_LABEL}")])


def _merged(path: Path, part: str) -> Iterator[tuple[str, int]]:
    with zipfile.ZipFile(path) as archive, archive.open(part.lstrip("/")) as file:
        tail = b""
        while block := file.read(_CHUNK):
            text = tail + block
            end = 0
            for match in _MERGE.finditer(text):
                yield match[1].decode(), int(match[2])
                end = match.end()
            tail = text[max(end, len(text) - 64) :]


class _Reader:
    def __init__(self, batch: KnownBatch) -> None:
        self._batch = batch
        self._classes = {point_class.label: point_class for point_class in PointClass}
        self.confirmed: dict[int, Confirmed] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def note_merged(self, sheet: str, merged: Iterator[tuple[str, int]]) -> None:
        for column, row in merged:
            self.problems.append(Problem(sheet, row, f"cells are merged from {column}{row} on"))

    def read(self, name: str, sheet: Any) -> None:
        point_class = self._classes.get(name)
        if point_class is None:
            self.problems.append(Problem(name, 0, "the report did not write this sheet"))
            return
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(), 1):
            found = {cell.column: cell for cell in cells if getattr(cell, "value", None) is not None}
            if number == 1:
                self._check_batch(name, [_value(found, column) for column in range(1, 5)])
            elif number == FIRST_DATA_ROW - 1:
                self._check_headers(name, [_value(found, column) for column in range(1, len(HEADERS) + 1)])
            elif found:
                reason = self._read_row(point_class, name, number, found)
                if reason:
                    self.problems.append(Problem(name, number, reason))
            if len(self.problems) > MOST_PROBLEMS:
                return

    def note_missing(self) -> None:
        for point, known in self._batch.candidates.items():
            if point not in self._seen:
                reason = f"the row of point {point} is missing; keep every row and choose {Decision.KEEP.label}"
                self.problems.append(Problem(known.point_class.label, 0, reason))

    def _check_batch(self, sheet: str, cells: list[Any]) -> None:
        expected = [BATCH_LABEL, self._batch.batch_id, DIGEST_LABEL, self._batch.digest]
        if cells != expected:
            reason = f"batch and digest are {cells[1]!r}, {cells[3]!r}; expected {expected[1]!r}, {expected[3]!r}"
            self.problems.append(Problem(sheet, 1, reason))

    def _check_headers(self, sheet: str, headers: list[Any]) -> None:
        for number, (found, expected) in enumerate(zip(headers, HEADERS, strict=True), 1):
            if found != expected:
                reason = f"header {get_column_letter(number)} is {found!r}, expected {expected!r}"
                self.problems.append(Problem(sheet, FIRST_DATA_ROW - 1, reason))

    def _read_row(self, point_class: PointClass, sheet: str, number: int, found: dict[int, Any]) -> str | None:
        formulas = [get_column_letter(column) for column, cell in found.items() if cell.data_type in ("f", "e")]
        if formulas:
            return f"formula or error value in column {', '.join(formulas)}; formulas are never evaluated"
        if max(found) > len(HEADERS):
            return f"text outside the table, in column {get_column_letter(max(found))}"
        point = _value(found, 1)
        if type(point) is not int:
            return f"the id is {point!r} ({type(point).__name__}), expected a whole number"
        known = self._batch.candidates.get(point)
        if known is None:
            return f"point {point} is not in the candidate set of batch {self._batch.batch_id}"
        self._seen.add(point)
        if point in self.confirmed:
            earlier = self.confirmed[point]
            return f"point {point} is a duplicate of sheet {earlier.sheet}, row {earlier.row}"
        cells = [
            "" if value is None else value for value in (_value(found, c + 1) for c in range(len(EVIDENCE_COLUMNS)))
        ]
        if row_digest(point_class, cells) != known.row_digest:
            return f"point {point} was edited outside the decision columns (or moved from another sheet)"
        text, reviewer, remark = (_value(found, len(EVIDENCE_COLUMNS) + offset) for offset in (1, 2, 3))
        chosen = str(text or "").strip().lower()
        decision = DECISIONS.get(chosen) if chosen else Decision.KEEP
        if decision is None:
            return f"the decision is {text!r}, expected one of {', '.join(choice.label for choice in Decision)}"
        name = str(reviewer or "").strip()
        if decision is Decision.DOWNLINE and not name:
            return f"point {point} is to be taken offline without a reviewer"
        self.confirmed[point] = Confirmed(decision, name, str(remark or "").strip(), sheet, number)
        return None


def _value(found: dict[int, Any], column: int) -> Any:
    cell = found.get(column)
    return None if cell is None else cell.value
