"""The review workbook: what the report writes, and what the downline refuses to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from drawsguard.points.definitions import Definition
from drawsguard.points.review.candidate import (
    EVIDENCE_COLUMNS,
    FIRST_DATA_ROW,
    HEADERS,
    SUMMARY_SHEET,
    Decision,
    candidate_digest,
    evidence_cells,
    row_digest,
)
from drawsguard.points.review.classify import Candidate, PointClass
from drawsguard.points.review.confirmed import KnownBatch, KnownCandidate, WorkbookRefusedError, read_confirmed
from drawsguard.points.review.evidence import Window
from drawsguard.points.review.usage import UNUSED
from drawsguard.points.review.workbook import ReviewHead, ReviewRow, write_review

OLD = datetime.fromisoformat("2021-03-04 05:06:07")
DECISION = len(EVIDENCE_COLUMNS) + 1
UNUSED_SHEET = PointClass.UNUSED.label


def candidate(point: int, point_class: PointClass = PointClass.UNUSED, description: str = "说明") -> Candidate:
    definition = Definition(
        "define_nosdata_general", point, 1, "chenwei", "a", "b", description, "normal", "redis_evt_A", "", OLD, OLD
    )
    return Candidate(point_class, definition, UNUSED)


@dataclass
class Review:
    """A review workbook with what the report stored of it."""

    path: Path
    known: KnownBatch

    def read(self) -> dict[int, Any]:
        batch_id, confirmed = read_confirmed(self.path, lambda name: self.known if name == "b1" else None)
        assert batch_id == "b1"
        return confirmed

    def edit(self, change: Callable[[Any], object]) -> None:
        workbook = load_workbook(self.path)
        change(workbook)
        workbook.save(self.path)

    def refusal(self) -> str:
        with pytest.raises(WorkbookRefusedError) as caught:
            self.read()
        return str(caught.value)


def make(path: Path, candidates: list[Candidate], batch_id: str = "b1") -> Review:
    rows = [ReviewRow(c.point_class, evidence_cells(c)) for c in candidates]
    known = {int(r.cells[0]): KnownCandidate(r.point_class, row_digest(r.point_class, r.cells)) for r in rows}
    digest = candidate_digest(batch_id, [(point, k.row_digest) for point, k in known.items()])
    window = Window.ending(date(2024, 7, 30), 180)
    write_review(path, ReviewHead(batch_id, digest, "intranet", window, {"候选 candidates": len(rows)}), rows)
    return Review(path, KnownBatch(batch_id, digest, known))


@pytest.fixture
def review(tmp_path: Path) -> Review:
    """Points 1 to 5, of which 1 and 2 are to go."""
    made = make(
        tmp_path / "review.xlsx",
        [
            candidate(1),
            candidate(2, description="=1+1"),
            candidate(3),
            candidate(4),
            candidate(5, PointClass.READ_ONLY),
        ],
    )
    made.edit(lambda workbook: decide(workbook, 1, 2))
    return made


def decide(workbook: Any, *points: int, reviewer: str | None = "mangge") -> None:
    sheet = workbook[UNUSED_SHEET]
    for row in range(FIRST_DATA_ROW, sheet.max_row + 1):
        if sheet.cell(row, 1).value in points:
            sheet.cell(row, DECISION).value = Decision.DOWNLINE.label
            sheet.cell(row, DECISION + 1).value = reviewer


def at(workbook: Any, row: int, column: int) -> Any:
    return workbook[UNUSED_SHEET].cell(row, column)


# --- writing -----------------------------------------------------------------------------------------
def test_the_workbook_has_a_summary_and_a_sheet_a_class(review: Review) -> None:
    workbook = load_workbook(review.path)
    assert workbook.sheetnames == [SUMMARY_SHEET, *[point_class.label for point_class in PointClass]]
    assert len(workbook[SUMMARY_SHEET]._charts) == 2 or "xl/charts/chart1.xml" in _parts(review.path)


def _parts(path: Path) -> list[str]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_a_class_sheet_is_filtered_frozen_protected_and_offers_decisions(tmp_path: Path) -> None:
    made = make(tmp_path / "fresh.xlsx", [candidate(1), candidate(2, description="=1+1")])
    sheet = load_workbook(made.path)[UNUSED_SHEET]
    assert [cell.value for cell in sheet[2]] == HEADERS
    assert sheet.freeze_panes == "B3"
    assert sheet.auto_filter.ref == "A2:U4"
    assert sheet.protection.sheet
    assert not sheet.protection.autoFilter  # False: allowed on the protected sheet
    assert sheet["A3"].protection.locked
    assert not sheet.column_dimensions["S"].protection.locked
    (validation,) = sheet.data_validations.dataValidation
    assert (str(validation.sqref), validation.formula1) == ("S3:S4", '"下线 downline,保留 keep"')
    assert (sheet["H4"].value, sheet["H4"].data_type) == ("=1+1", "s")
    assert any(name.startswith("xl/charts/") for name in _parts(made.path))


def test_numbers_of_the_summary_are_per_cluster_and_table(tmp_path: Path) -> None:
    made = make(tmp_path / "fresh.xlsx", [candidate(1), candidate(2), candidate(3, PointClass.READ_ONLY)])
    rows = [[cell.value for cell in row[:5]] for row in load_workbook(made.path)[SUMMARY_SHEET].iter_rows()]
    assert ["redis_evt_A", 1, 0, 2, 3] in rows
    assert ["define_nosdata_general", 1, 0, 2, 3] in rows


# --- reading -----------------------------------------------------------------------------------------
def test_decisions_are_read_and_blank_means_keep(review: Review) -> None:
    confirmed = review.read()
    assert {point: str(c.decision) for point, c in confirmed.items()} == {
        1: "downline", 2: "downline", 3: "keep", 4: "keep", 5: "keep",
    }  # fmt: skip
    assert (confirmed[1].reviewer, confirmed[1].sheet, confirmed[1].row) == ("mangge", UNUSED_SHEET, 3)


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000 "])
def test_blanks_in_a_decision_cell_mean_keep(review: Review, blank: str) -> None:
    review.edit(lambda workbook: setattr(at(workbook, 3, DECISION), "value", blank))
    assert review.read()[1].decision is Decision.KEEP


def test_the_digest_of_the_same_points_in_another_batch_is_another(review: Review, tmp_path: Path) -> None:
    other = make(tmp_path / "other.xlsx", [candidate(1), candidate(2)], batch_id="b2")
    assert other.known.digest != make(tmp_path / "same.xlsx", [candidate(1), candidate(2)]).known.digest


def test_a_sorted_workbook_is_read_by_id(review: Review) -> None:
    before = review.read()

    def reverse(workbook: Any) -> None:
        sheet = workbook[UNUSED_SHEET]
        rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=FIRST_DATA_ROW)]
        types = [[cell.data_type for cell in row] for row in sheet.iter_rows(min_row=FIRST_DATA_ROW)]
        for number, (values, kinds) in enumerate(zip(reversed(rows), reversed(types), strict=True), FIRST_DATA_ROW):
            for column, (value, kind) in enumerate(zip(values, kinds, strict=True), 1):
                sheet.cell(number, column).value = value
                sheet.cell(number, column).data_type = kind

    review.edit(reverse)
    after = review.read()
    assert {point: c.decision for point, c in after.items()} == {point: c.decision for point, c in before.items()}
    assert after[1].row != before[1].row


def test_a_filtered_workbook_with_hidden_rows_is_read_whole(review: Review) -> None:
    def hide(workbook: Any) -> None:
        workbook[UNUSED_SHEET].row_dimensions[3].hidden = True
        workbook[UNUSED_SHEET].auto_filter.add_filter_column(0, ["2"])

    review.edit(hide)
    assert str(review.read()[1].decision) == "downline"


REFUSALS: dict[str, tuple[Callable[[Any], object], str]] = {
    "row deleted": (lambda w: w[UNUSED_SHEET].delete_rows(4), "row of point 2 is missing"),
    "id as text": (lambda w: setattr(at(w, 3, 1), "value", "1"), "row 3: the id is '1' (str)"),
    "id as float": (lambda w: setattr(at(w, 3, 1), "value", 1.5), "row 3: the id is 1.5 (float)"),
    "id as true": (lambda w: setattr(at(w, 3, 1), "value", True), "row 3: the id is True (bool)"),
    "id removed": (lambda w: setattr(at(w, 3, 1), "value", None), "row 3: the id is None"),
    "unknown id": (lambda w: setattr(at(w, 3, 1), "value", 99), "row 3: point 99 is not in the candidate set"),
    "duplicate": (lambda w: setattr(at(w, 4, 1), "value", 1), "row 4: point 1 is a duplicate of sheet"),
    "evidence edited": (lambda w: setattr(at(w, 3, 2), "value", "redis_mq"), "row 3: point 1 was edited outside"),
    "formula as decision": (lambda w: setattr(at(w, 3, DECISION), "value", '="下线"'), "row 3: formula"),
    "formula as id": (lambda w: setattr(at(w, 3, 1), "value", "=0+1"), "row 3: formula"),
    "unknown decision": (lambda w: setattr(at(w, 3, DECISION), "value", "maybe"), "row 3: the decision is 'maybe'"),
    "no reviewer": (lambda w: decide(w, 1, reviewer=None), "row 3: point 1 is to be taken offline without a reviewer"),
    "blank reviewer": (lambda w: decide(w, 1, reviewer="  "), "row 3: point 1 is to be taken offline without"),
    "merged cells": (lambda w: w[UNUSED_SHEET].merge_cells("S3:S6"), "row 3: cells are merged from S3 on"),
    "header edited": (lambda w: setattr(at(w, 2, 3), "value", "x"), "row 2: header C is 'x'"),
    "text beside the table": (lambda w: setattr(at(w, 3, 30), "value", "x"), "row 3: text outside the table"),
    "sheet added": (lambda w: w.create_sheet("Sheet1"), "sheet Sheet1: the report did not write this sheet"),
    "summary removed": (lambda w: w.remove(w[SUMMARY_SHEET]), "the sheet is missing"),
    "class sheet removed": (lambda w: w.remove(w[UNUSED_SHEET]), "row of point 1 is missing"),
    "digest edited": (lambda w: setattr(at(w, 1, 4), "value", "0" * 64), "row 1: batch and digest are"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_workbook_that_was_changed_is_refused_with_sheet_row_and_reason(review: Review, name: str) -> None:
    change, reason = REFUSALS[name]
    review.edit(change)
    message = review.refusal()
    assert reason in message
    assert "sheet " in message


def test_a_row_moved_to_another_class_is_refused(review: Review) -> None:
    def move(workbook: Any) -> None:
        source, target = workbook[UNUSED_SHEET], workbook[PointClass.READ_ONLY.label]
        for cell in source[5]:
            target.cell(FIRST_DATA_ROW + 1, cell.column).value = cell.value
        source.delete_rows(5)

    review.edit(move)
    assert "point 3 was edited outside the decision columns (or moved from another sheet)" in review.refusal()


def test_another_batchs_sheet_is_refused(review: Review, tmp_path: Path) -> None:
    other = make(tmp_path / "other.xlsx", [candidate(1), candidate(2), candidate(3), candidate(4)], batch_id="b2")

    def swap(workbook: Any) -> None:
        foreign = load_workbook(other.path)[UNUSED_SHEET]
        for row in foreign.iter_rows():
            for cell in row:
                workbook[UNUSED_SHEET].cell(cell.row, cell.column).value = cell.value

    review.edit(swap)
    assert "row 1: batch and digest are 'b2'" in review.refusal()


def test_a_batch_that_is_not_known_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path / "other.xlsx", [candidate(1)], batch_id="b2")
    assert "batch 'b2' is not known" in made.refusal()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "has a password"),
        (b"id,decision\n1,downline\n", "not an .xlsx"),
        (b"", "not an .xlsx"),
    ],
)
def test_a_file_that_is_no_open_workbook_is_refused(review: Review, content: bytes, reason: str) -> None:
    review.path.write_bytes(content)
    assert reason in review.refusal()


def test_a_workbook_of_something_else_is_refused(review: Review) -> None:
    workbook = Workbook()
    workbook.save(review.path)
    assert f"sheet {SUMMARY_SHEET}: the sheet is missing" in review.refusal()


def test_every_refused_row_is_named_up_to_a_limit(review: Review) -> None:
    def spoil(workbook: Any) -> None:
        for row in range(3, 7):
            at(workbook, row, 2).value = "x"

    review.edit(spoil)
    message = review.refusal()
    assert all(f"row {row}: point" in message for row in range(3, 7))


def test_two_hundred_thousand_rows_that_are_no_candidates_are_refused_without_reading_them_all(review: Review) -> None:
    big = Workbook(write_only=True)
    original = load_workbook(review.path)
    for name in original.sheetnames:
        sheet = big.create_sheet(name)
        for row in original[name].iter_rows(values_only=True, max_row=2 if name != SUMMARY_SHEET else None):
            sheet.append(list(row))
        if name == UNUSED_SHEET:
            for point in range(1000, 201_000):
                sheet.append([point])
    big.save(review.path)
    message = review.refusal()
    assert "row 3: point 1000 is not in the candidate set" in message
    assert "reading stopped there" in message
    assert message.count("\n") < 250


def test_a_large_workbook_is_read_whole(tmp_path: Path) -> None:
    confirmed = make(tmp_path / "many.xlsx", [candidate(number) for number in range(1, 5_001)]).read()
    assert set(confirmed) == set(range(1, 5_001))
    assert {c.decision for c in confirmed.values()} == {Decision.KEEP}
