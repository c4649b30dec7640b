"""Read the confirmed workbook, and refuse every one that is not the reviewed workbook with decisions filled in.

Rows are found by id, so sorting is harmless. Formulas are never evaluated: a formula is a refusal. What is read is what
a person sees: a decision in a row, column or sheet that is hidden, or shown otherwise than it is, is a refusal, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
from drawsguard.points.review.workbook_file import WorkbookFile
from drawsguard.points.review.workbook_package import WorkbookFileError
from drawsguard.points.review.workbook_sheet import Cell, Row, Sheet
from drawsguard.refusal import RefusedError

#: Problems that one refusal lists.
MOST_PROBLEMS = 200
#: Characters of a reviewer's name and of a remark, as the tables keep them (points_lifecycle.candidate).
LONGEST_REVIEWER = 255
LONGEST_REMARK = 10_000

_ID, _DECISION, _REVIEWER, _REMARK = 1, *(len(EVIDENCE_COLUMNS) + offset for offset in (1, 2, 3))
_COLUMNS = len(HEADERS)
_BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class Problem(NamedTuple):
    """One reason for a refusal: sheet (empty: the file), row (0: the sheet as a whole) and what is wrong there."""

    sheet: str
    row: int
    reason: str

    def __str__(self) -> str:
        place = f"sheet {self.sheet}" if self.sheet else "the file"
        return f"{place}, row {self.row}: {self.reason}" if self.row else f"{place}: {self.reason}"


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
    :raises WorkbookRefusedError: when anything is not as the report wrote it, apart from the decision columns; or when
        the file is damaged, foreign, or larger than a reviewed workbook can be.
    """
    try:
        with WorkbookFile(path) as file:
            return _read(path, file, find_batch)
    except WorkbookFileError as error:
        raise WorkbookRefusedError(path, [Problem("", 0, str(error))]) from error


def _read(
    path: Path, file: WorkbookFile, find_batch: Callable[[str], KnownBatch | None]
) -> tuple[str, dict[int, Confirmed]]:
    batch_id = _batch_id(path, file)
    batch = find_batch(batch_id)
    if batch is None:
        raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 2, f"batch {batch_id!r} is not known here")])
    reader = _Reader(batch)
    for sheet in file.sheets:
        if sheet.hidden:
            reader.problems.append(Problem(_shown(sheet.name), 0, "the sheet is hidden; unhide it, check it and save"))
        elif sheet.name != SUMMARY_SHEET:
            reader.read(file, sheet)
        if len(reader.problems) > MOST_PROBLEMS:
            raise WorkbookRefusedError(path, reader.problems)
    if not any(sheet.hidden for sheet in file.sheets):
        reader.note_missing()
    if reader.problems:
        raise WorkbookRefusedError(path, reader.problems)
    return batch_id, reader.confirmed


def _batch_id(path: Path, file: WorkbookFile) -> str:
    for sheet in file.sheets:
        if sheet.name == SUMMARY_SHEET and sheet.is_table:
            break
    else:
        names = ", ".join(_shown(sheet.name) for sheet in file.sheets[:10])
        reason = f"the sheet is missing; the workbook has {names}. Is this the workbook of points_usage_report?"
        raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 0, reason)])
    for row in file.rows(sheet):
        label, batch = row.cells.get(1), row.cells.get(2)
        if row.number > 10:
            break
        if label and label.value == BATCH_LABEL and batch and batch.kind == "text":
            if not _BATCH_ID.fullmatch(str(batch.value)):
                raise WorkbookRefusedError(
                    path, [Problem(SUMMARY_SHEET, row.number, f"{_shown(batch.value)} is no batch id")]
                )
            return str(batch.value)
    raise WorkbookRefusedError(path, [Problem(SUMMARY_SHEET, 2, f"no {BATCH_LABEL} with its id as text beside it")])


def _shown(value: object) -> str:
    """Return a value of the workbook as one short line of a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1:]}"


class _Reader:
    def __init__(self, batch: KnownBatch) -> None:
        self._batch = batch
        self._classes = {point_class.label: point_class for point_class in PointClass}
        self.confirmed: dict[int, Confirmed] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._unidentified = False

    def read(self, file: WorkbookFile, sheet: Sheet) -> None:
        point_class = self._classes.get(sheet.name)
        if point_class is None or not sheet.is_table:
            reason = "the report did not write this sheet; remove it"
            self.problems.append(Problem(_shown(sheet.name)[1:-1], 0, reason))
            return
        numbers: set[int] = set()
        for row in file.rows(sheet):
            if row.number < FIRST_DATA_ROW:
                numbers.add(row.number)
            if row.number == 1:
                self._check_batch(sheet.name, row)
            elif row.number == FIRST_DATA_ROW - 1:
                self._check_headers(sheet.name, row)
            elif row.cells and (wrong := self._read_row(point_class, sheet.name, row)):
                self.problems.append(Problem(sheet.name, row.number, wrong))
            if len(self.problems) > MOST_PROBLEMS:
                return
        for missing in {1, FIRST_DATA_ROW - 1} - numbers:
            self.problems.append(Problem(sheet.name, missing, "the row is missing, which the report wrote"))
        self._check_beside(sheet)

    def note_missing(self) -> None:
        """Name the candidates without a row, unless the row may be one whose id cannot be read: that is the cause."""
        for point, known in self._batch.candidates.items():
            if point not in self._seen and not self._unidentified:
                reason = f"the row of point {point} is missing; keep every row and choose {Decision.KEEP.label}"
                self.problems.append(Problem(known.point_class.label, 0, reason))

    def _check_beside(self, sheet: Sheet) -> None:
        for column, row in sheet.merged:
            self.problems.append(Problem(sheet.name, row, f"cells are merged from {column}{row} on; unmerge them"))
        for reason in sheet.covered:
            self.problems.append(Problem(sheet.name, 0, reason))
        for number in (_ID, _DECISION, _REVIEWER):
            if sheet.hidden_columns >> number & 1:
                reason = f"column {get_column_letter(number)} is hidden; show it, check it and save"
                self.problems.append(Problem(sheet.name, 0, reason))

    def _check_batch(self, sheet: str, row: Row) -> None:
        expected = [BATCH_LABEL, self._batch.batch_id, DIGEST_LABEL, self._batch.digest]
        cells = [_value(row, column) for column in range(1, 5)]
        if cells != expected:
            found = f"{_shown(cells[1])}, {_shown(cells[3])}"
            reason = f"batch and digest are {found}; expected {expected[1]!r}, {expected[3]!r}"
            self.problems.append(Problem(sheet, 1, reason))
        if beyond := _beyond(row, 4):
            self.problems.append(Problem(sheet, 1, beyond))

    def _check_headers(self, sheet: str, row: Row) -> None:
        for number, expected in enumerate(HEADERS, 1):
            if (found := _value(row, number)) != expected:
                reason = f"header {get_column_letter(number)} is {_shown(found)}, expected {expected!r}"
                self.problems.append(Problem(sheet, row.number, reason))
        if beyond := _beyond(row, _COLUMNS):
            self.problems.append(Problem(sheet, row.number, beyond))

    def _read_row(self, point_class: PointClass, sheet: str, row: Row) -> str | None:
        point = _value(row, _ID)
        known_before = point in self._seen
        if type(point) is int:
            self._seen.add(point)  # it has its row, whatever else is wrong there
        else:
            self._unidentified = True
        if reason := _unreadable(row):
            return reason
        if type(point) is not int:
            if point is None:
                columns = ", ".join(map(get_column_letter, list(row.cells)[:5]))
                return f"the id is None, with text in column {columns}; remove what the report did not write"
            return f"the id is {_shown(point)} ({type(point).__name__}), expected a whole number"
        known = self._batch.candidates.get(point)
        if known is None:
            return f"point {point} is not in the candidate set of batch {self._batch.batch_id}"
        if known_before:
            earlier = self.confirmed.get(point)
            place = f"sheet {earlier.sheet}, row {earlier.row}" if earlier else "an earlier row"
            return f"point {point} is a duplicate of {place}"
        cells = ["" if value is None else value for value in (_value(row, c + 1) for c in range(len(EVIDENCE_COLUMNS)))]
        if row_digest(point_class, cells) != known.row_digest:
            return f"point {point} was edited outside the decision columns (or moved from another sheet)"
        return self._decide(sheet, row, point)

    def _decide(self, sheet: str, row: Row, point: int) -> str | None:
        chosen, reviewer, remark = (_value(row, column) for column in (_DECISION, _REVIEWER, _REMARK))
        text = "" if chosen is None else str(chosen).strip().lower()
        decision = DECISIONS.get(text) if text else Decision.KEEP
        if decision is None:
            choices = ", ".join(choice.label for choice in Decision)
            return (
                f"the decision is {_shown(chosen)} in column {get_column_letter(_DECISION)}, expected one of {choices}"
            )
        name = "" if reviewer is None else " ".join(str(reviewer).split())
        noted = "" if remark is None else str(remark).strip()
        if decision is Decision.DOWNLINE:
            if not any(unicodedata.category(letter)[0] in "LN" for letter in name):
                return f"point {point} is to be taken offline without a reviewer"
            if row.hidden:
                return (
                    f"point {point} is to be taken offline in a row that is hidden (a filter?); show all rows, check "
                    "the decision and save"
                )
        for what, column, value, longest in (
            ("reviewer", _REVIEWER, name, LONGEST_REVIEWER),
            ("remark", _REMARK, noted, LONGEST_REMARK),
        ):
            if len(value) > longest:
                letter = get_column_letter(column)
                return f"the {what} in column {letter} has {len(value)} characters, at most {longest}; shorten it"
        self.confirmed[point] = Confirmed(decision, name, noted, sheet, row.number)
        return None


def _unreadable(row: Row) -> str | None:
    """Return why some cell of a row cannot be taken as it is shown; None when all can."""
    computed = [get_column_letter(column) for column, cell in row.cells.items() if cell.kind in ("formula", "error")]
    if computed:
        return f"formula or error value in column {', '.join(computed[:20])}; formulas are never evaluated"
    if beyond := _beyond(row, _COLUMNS):
        return beyond
    for column, cell in row.cells.items():
        place = f"cell {get_column_letter(column)}{row.number}"
        if cell.kind == "date":
            return f"{place} holds a date, which the report did not write; write it as text"
        if cell.unlike:
            return f"{place}: {cell.unlike}"
    return None


def _beyond(row: Row, columns: int) -> str | None:
    beyond = [column for column in row.cells if column > columns]
    return f"text outside the table, in column {get_column_letter(beyond[0])}; remove it" if beyond else None


def _value(row: Row, column: int) -> int | float | str | bool | None:
    cell: Cell | None = row.cells.get(column)
    return None if cell is None or cell.kind in ("formula", "error") else cell.value
