"""The review workbook: what the report writes, and what the downline refuses to read."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.chart import BarChart
from openpyxl.comments import Comment
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Color, Font, GradientFill, PatternFill

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
from drawsguard.points.review.workbook_file import WorkbookFile
from drawsguard.points.review.workbook_package import Limits, WorkbookFileError
from drawsguard.points.review.workbook_styles import MAIN
from drawsguard.points.sheets import escape_text, unescape_text

#: The part of the class's sheet, as our writer and openpyxl name it.
UNUSED_PART = "xl/worksheets/sheet4.xml"
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

    def edit_parts(self, change: Callable[[dict[str, bytes]], object]) -> None:
        with zipfile.ZipFile(self.path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)

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


def red_on(workbook: Any, fill: Any) -> None:
    cell = at(workbook, 3, DECISION)
    cell.font, cell.fill = Font(color="FFFF0000"), fill


def in_runs(workbook: Any, font: InlineFont) -> None:
    at(workbook, 3, DECISION).value = CellRichText(TextBlock(InlineFont(), "下线 "), TextBlock(font, "downline"))


def at(workbook: Any, row: int, column: int) -> Any:
    return workbook[UNUSED_SHEET].cell(row, column)


# --- writing -----------------------------------------------------------------------------------------
def test_the_workbook_has_a_summary_and_a_sheet_a_class(review: Review) -> None:
    workbook = load_workbook(review.path)
    assert workbook.sheetnames == [SUMMARY_SHEET, *[point_class.label for point_class in PointClass]]
    assert len(workbook[SUMMARY_SHEET]._charts) == 2 or "xl/charts/chart1.xml" in _parts(review.path)


def _parts(path: Path) -> list[str]:
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


def test_a_filter_may_hide_what_is_kept_and_nothing_that_goes(review: Review) -> None:
    def hide(row: int) -> Callable[[Any], None]:
        def change(workbook: Any) -> None:
            workbook[UNUSED_SHEET].row_dimensions[row].hidden = True
            workbook[UNUSED_SHEET].auto_filter.add_filter_column(0, ["2"])

        return change

    review.edit(hide(5))
    assert review.read()[3].decision is Decision.KEEP
    review.edit(hide(3))
    assert "row 3: point 1 is to be taken offline in a row that is hidden" in review.refusal()


def test_a_whole_number_in_another_spelling_is_that_number(review: Review) -> None:
    """Google Sheets writes 1.0, other programs 1E0."""

    def respell(parts: dict[str, bytes]) -> None:
        text = parts[UNUSED_PART].decode()
        changed = re.sub(r"<v>(\d+)</v>", r"<v>\1.0</v>", text).replace("<v>3.0</v>", "<v>3E0</v>")
        assert changed.count(".0</v>") > 10
        parts[UNUSED_PART] = changed.encode()

    before = review.read()
    review.edit_parts(respell)
    assert review.read() == before


def as_libreoffice_saves(parts: dict[str, bytes]) -> None:
    """Rewrite a workbook's sheets and strings as LibreOffice 7.4 does; Gnumeric's are alike.

    Every attribute is written out with a word, texts are shared, a text in two scripts is cut into runs with a font
    each, and numbers carry their type.
    """
    strings: list[str] = []

    def shared(found: re.Match[str]) -> str:
        runs = re.split(r"(?<=[\u4e00-\u9fff] )(?=\w)", found["text"])
        font = '<rPr><sz val="11"/><rFont val="DejaVu Sans"/><family val="2"/></rPr>'
        texts = [f'<t xml:space="preserve">{run}</t>' for run in runs]
        strings.append("".join(f"<r>{font}{text}</r>" for text in texts) if len(runs) > 1 else texts[0])
        return f'<c r="{found["place"]}"{found["style"] or ""} t="s"><v>{len(strings) - 1}</v></c>'

    text_cell = (
        r'<c r="(?P<place>[A-Z]+\d+)"(?P<style> s="\d+")? t="inlineStr"><is><t[^>]*>(?P<text>[^<]*)</t></is></c>'
    )
    for name in [name for name in parts if name.startswith("xl/worksheets/sheet")]:
        # Written with or without lxml: with it as it is, without it as references.
        plain = re.sub(r"&#(\d{3,});", lambda found: chr(int(found[1])), parts[name].decode())
        sheet = re.sub(text_cell, shared, plain)
        sheet = re.sub(r'<c r="(\w+)"( s="\d+")? t="n"', r'<c r="\1"\2', sheet)
        sheet = re.sub(r'<c r="(\w+)"( s="\d+")?><v>', r'<c r="\1"\2 t="n"><v>', sheet)
        words = 'customFormat="false" ht="15" hidden="false" customHeight="false" outlineLevel="0" collapsed="false"'
        sheet = re.sub(r'<row r="(\d+)"[^>]*>', rf'<row r="\1" {words}>', sheet)
        sheet = sheet.replace("<col ", '<col collapsed="false" hidden="false" outlineLevel="0" ')
        assert "inlineStr" not in sheet
        parts[name] = sheet.encode()
    items = "".join(f"<si>{text}</si>" for text in strings)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}" count="{len(strings)}">{items}</sst>'.encode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    related = f'<Relationship Id="texts" Type="{kind}" Target="sharedStrings.xml"/></Relationships>'
    relations = "xl/_rels/workbook.xml.rels"
    parts[relations] = parts[relations].replace(b"</Relationships>", related.encode())


def test_a_workbook_that_libreoffice_saved_is_read_alike(review: Review) -> None:
    """Tried with the program itself, by way of .xlsx, .ods and .xls; this is what it makes of our parts."""
    before = review.read()
    review.edit_parts(as_libreoffice_saves)
    assert b"<rPr>" in zipfile.ZipFile(review.path).read("xl/sharedStrings.xml")
    assert review.read() == before
    review.edit_parts(
        lambda p: p.update({UNUSED_PART: p[UNUSED_PART].replace(b'hidden="false"', b'hidden="true"', 30)})
    )
    assert "is hidden" in review.refusal()


def test_colours_that_can_be_read_are_no_reason_to_refuse(review: Review) -> None:
    """What reviewers do: a colour for a row, a red word in a remark."""

    def colour(workbook: Any) -> None:
        for column in range(1, DECISION + 1):
            at(workbook, 3, column).fill = PatternFill("solid", start_color="FFFF00")
        at(workbook, 4, DECISION).font = Font(color="FFFFFF")
        at(workbook, 4, DECISION).fill = PatternFill("solid", start_color="C00000")
        red = TextBlock(InlineFont(color="FFFF0000"), "asked")
        at(workbook, 3, DECISION + 2).value = CellRichText(red, TextBlock(InlineFont(strike=False), " twice"))

    before = review.read()
    review.edit(colour)
    after = review.read()
    assert after[1].remark == "asked twice"
    assert {point: c.decision for point, c in after.items()} == {point: c.decision for point, c in before.items()}


@pytest.mark.parametrize("text", ["a_x005F_b", "line_x000D_", "_x000d_", "_x0041_", "_xD800_", "x_x005F_x000D_"])
def test_text_that_reads_like_an_escape_survives_every_program(tmp_path: Path, text: str) -> None:
    made = make(tmp_path / "escapes.xlsx", [candidate(1, description=text)])
    assert made.read()[1].decision is Decision.KEEP
    made.edit(lambda _: None)  # openpyxl keeps the escapes as they are
    assert made.read()[1].decision is Decision.KEEP
    assert escape_text(text) in load_workbook(made.path)[UNUSED_SHEET]["H3"].value
    assert unescape_text(escape_text(text)) == text  # what Excel and LibreOffice show


@pytest.mark.parametrize("text", ["a\ud800b", "a\ufffeb\uffff", "a\x00b", "\U0001f600" * 20_000])
def test_text_that_the_format_cannot_carry_is_cut_before_it_is_bound(tmp_path: Path, text: str) -> None:
    made = make(tmp_path / "odd.xlsx", [candidate(1, description=text)])
    assert made.read()[1].decision is Decision.KEEP
    assert len(load_workbook(made.path)[UNUSED_SHEET]["H3"].value.encode("utf-16-le")) <= 2 * 32_767


def test_one_reason_a_row_is_enough(review: Review) -> None:
    review.edit(lambda w: setattr(at(w, 3, 30), "value", "x"))
    assert "is missing" not in review.refusal()


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
    "duplicate header": (lambda w: setattr(at(w, 2, 22), "value", HEADERS[18]), "row 2: text outside the table"),
    "note above": (lambda w: setattr(at(w, 1, 6), "value", "x"), "row 1: text outside the table, in column F"),
    "note below": (lambda w: setattr(at(w, 9, 8), "value", "x"), "row 9: the id is None, with text in column H"),
    "full-width id": (lambda w: setattr(at(w, 3, 1), "value", "１"), "row 3: the id is '１' (str)"),
    "huge id": (lambda w: setattr(at(w, 3, 1), "value", 10**30), "row 3: the id is 1e+30 (float)"),
    "date as id": (lambda w: setattr(at(w, 3, 1), "value", OLD), "row 3: cell A3: its number format"),
    "zero as decision": (lambda w: setattr(at(w, 3, DECISION), "value", 0), "row 3: the decision is 0 in column S"),
    "invisible in a decision": (lambda w: setattr(at(w, 3, DECISION), "value", "keep\u200b"), "row 3: the decision is"),
    "invisible reviewer": (lambda w: decide(w, 1, reviewer="\u200b\u2060"), "offline without a reviewer"),
    "long reviewer": (lambda w: decide(w, 1, reviewer="x" * 256), "row 3: the reviewer in column T has 256 characters"),
    "long remark": (lambda w: setattr(at(w, 5, 21), "value", "x" * 10_001), "row 5: the remark in column U has 10001"),
    "id format": (lambda w: setattr(at(w, 3, 1), "number_format", '"2"'), "row 3: cell A3: its number format"),
    "decision format": (lambda w: setattr(at(w, 3, DECISION), "number_format", ';;;"keep"'), "row 3: cell S3: its num"),
    "white decision": (lambda w: setattr(at(w, 3, DECISION), "font", Font(color="FFFFFFFF")), "cell S3: its text has"),
    "tiny decision": (lambda w: setattr(at(w, 3, DECISION), "font", Font(size=1)), "cell S3: its text is too small"),
    "nearly white": (lambda w: setattr(at(w, 3, DECISION), "font", Font(color="FFFEFEFE")), "cell S3: its text has"),
    "white with a tint": (
        lambda w: setattr(at(w, 3, DECISION), "font", Font(color=Color(theme=0, tint=-0.02))),
        "cell S3: its text has",
    ),
    "red on a red gradient": (lambda w: red_on(w, GradientFill(stop=("FF0000", "FF0000"))), "cell S3: its text has"),
    "red on red dots": (
        lambda w: red_on(w, PatternFill("darkGray", start_color="FF0000", end_color="FF0000")),
        "cell S3: its text has",
    ),
    "struck through": (
        lambda w: setattr(at(w, 3, DECISION), "font", Font(strike=True)),
        "cell S3: its text is struck through",
    ),
    "white letters": (lambda w: in_runs(w, InlineFont(color="FFFFFFFF")), "row 3: cell S3: a part of its text has a"),
    "tiny letters": (lambda w: in_runs(w, InlineFont(sz=1)), "row 3: cell S3: a part of its text has a light colour"),
    "struck letters": (lambda w: in_runs(w, InlineFont(strike=True)), "row 3: cell S3: its text is struck through"),
    "flat row": (lambda w: setattr(w[UNUSED_SHEET].row_dimensions[3], "height", 0.5), "row 3: point 1 is to be taken"),
    "hidden decisions": (
        lambda w: setattr(w[UNUSED_SHEET].column_dimensions["S"], "hidden", True),
        "column S is hidden",
    ),
    "hidden sheet": (lambda w: setattr(w[UNUSED_SHEET], "sheet_state", "hidden"), "the sheet is hidden"),
    "very hidden sheet": (lambda w: setattr(w[UNUSED_SHEET], "sheet_state", "veryHidden"), "the sheet is hidden"),
    "comment": (lambda w: setattr(at(w, 3, DECISION), "comment", Comment("no!", "x")), "a comment on cell S3"),
    "drawing": (lambda w: w[UNUSED_SHEET].add_chart(BarChart(), "S3"), "a drawing or picture lies over the cells"),
    "conditional": (
        lambda w: w[UNUSED_SHEET].conditional_formatting.add(
            "S3:S9", FormulaRule(formula=["TRUE"], font=Font(color="FFFFF2CC"))
        ),
        "conditional formatting of S3:S9",
    ),
    "chart sheet": (lambda w: w.create_chartsheet("Chart1"), "sheet Chart1: the report did not write this sheet"),
    "sheet of the same role": (
        lambda w: setattr(w.copy_worksheet(w[UNUSED_SHEET]), "title", f"{UNUSED_SHEET} "),
        "the report did not write",
    ),
    "batch of 10,000 characters": (
        lambda w: setattr(w[SUMMARY_SHEET]["B2"], "value", "b" * 10_000),
        "row 2: 'bbbb",
    ),
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
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "has a password, or is an old .xls"),
        (b"id,decision\n1,downline\n", "not an .xlsx file, it is text"),
        (b"\x00\x01\x02", "not an .xlsx file, it is something else"),
        (b"", "not an .xlsx file, it is empty"),
        (b"PK\x03\x04", "damaged or cut off"),
    ],
)
def test_a_file_that_is_no_open_workbook_is_refused(review: Review, content: bytes, reason: str) -> None:
    review.path.write_bytes(content)
    assert reason in review.refusal()


def test_a_workbook_that_was_cut_off_is_refused(review: Review) -> None:
    content = review.path.read_bytes()
    review.path.write_bytes(content[: len(content) // 2])
    assert "damaged or cut off" in review.refusal()


def test_bit_rot_in_one_part_is_named(review: Review) -> None:
    content = bytearray(review.path.read_bytes())
    with zipfile.ZipFile(review.path) as archive:
        entry = archive.getinfo("xl/theme/theme1.xml")
    content[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 0x40
    review.path.write_bytes(content)
    message = review.refusal()
    assert "is damaged" in message
    assert "copy the workbook again" in message


def _replaced(part: str, old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        text = parts[part].decode()
        assert old in text
        parts[part] = text.replace(old, new, 1).encode()

    return change


def _added(part: str, content: bytes = b"x") -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.update({part: content})


_BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><worksheet'
_OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet'
_SHEET_3 = '<c r="A3" t="n"'

HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "entities": (_replaced(UNUSED_PART, "<worksheet", _BOMB), f"part {UNUSED_PART} declares a document type"),
    "outside entity": (_replaced(UNUSED_PART, "<worksheet", _OUTSIDE), f"part {UNUSED_PART} declares a document type"),
    "not well formed": (_replaced(UNUSED_PART, "</row>", "</rox>"), f"part {UNUSED_PART} is damaged"),
    "another encoding": (_added(UNUSED_PART, b'<?xml version="1.0" encoding="klingon"?><a/>'), "is damaged"),
    "part missing": (lambda parts: parts.pop(UNUSED_PART), f"part {UNUSED_PART} is missing"),
    "no workbook": (lambda parts: parts.pop("xl/workbook.xml"), "part xl/workbook.xml is missing"),
    "no relations": (lambda parts: parts.pop("_rels/.rels"), "it names no workbook"),
    "strict": (
        _replaced("_rels/.rels", "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument",
                  "http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument"),
        "Strict Open XML workbook; open it in a spreadsheet program and save it as an ordinary",
    ),
    "opendocument": (_added("mimetype"), "an OpenDocument file (.ods)"),
    "xlsb": (_added("xl/workbook.bin"), "a binary workbook (.xlsb)"),
    "docx": (_added("word/document.xml"), "a Word document"),
    "macros": (_added("xl/vbaProject.bin"), "holds macros, links or embedded files (xl/vbaproject.bin)"),
    "part twice": (_added(UNUSED_PART.upper()), "is there twice"),
    "bomb": (_added("xl/media/x.png", bytes(8 << 20)), "unpacks to more than"),
    "many parts": (lambda parts: parts.update({f"x/{n}": b"" for n in range(1001)}), "parts, the limit is 1000"),
    "row far below": (_replaced(UNUSED_PART, '<row r="5"', '<row r="30000000"'), "row number '30000000' after row 4"),
    "row twice": (_replaced(UNUSED_PART, '<row r="4"', '<row r="3"'), "row number 3 after row 3 cannot be"),
    "cell of another row": (_replaced(UNUSED_PART, _SHEET_3, '<c r="A4" t="n"'), "the cell 'A4' is not of this row"),
    "cell twice": (_replaced(UNUSED_PART, '<c r="B3"', '<c r="A3"'), "a cell is there twice, or out of order"),
    "NaN": (_replaced(UNUSED_PART, f"{_SHEET_3}><v>1</v>", f"{_SHEET_3}><v>NaN</v>"), "cell A3 holds 'NaN'"),
    "Infinity": (_replaced(UNUSED_PART, f"{_SHEET_3}><v>1</v>", f"{_SHEET_3}><v>1e999</v>"), "cell A3 holds '1e999'"),
    "5,000 digits": (_replaced(UNUSED_PART, "<v>1</v>", f"<v>{'9' * 5000}</v>"), "cell A3 holds '999"),
    "string out of range": (_replaced(UNUSED_PART, _SHEET_3, '<c r="A3" t="s"'), "cell A3 names text '1', which"),
    "style out of range": (_replaced(UNUSED_PART, _SHEET_3, '<c r="A3" s="999"'), "cell A3 names style '999'"),
    "formula with a value": (_replaced(UNUSED_PART, "<v>1</v>", "<f>1+1</f><v>1</v>"), "row 3: formula or error value"),
    "value twice": (_replaced(UNUSED_PART, "<v>1</v>", "<v>1</v><v>2</v>"), "row 3: a cell with two values"),
    "merged within a text": (
        _replaced(UNUSED_PART, "<is><t>", '<is><t><mergeCells><mergeCell ref="S3:S6"/></mergeCells>'), "within a text",
    ),
    "rows twice": (_replaced(UNUSED_PART, "</sheetData>", "</sheetData><sheetData/>"), "holds its rows twice"),
    "rows hidden": (_replaced(UNUSED_PART, "<sheetFormatPr", '<sheetFormatPr zeroHeight="1"'), "row that is hidden"),
    "rows without height": (
        _replaced(UNUSED_PART, "defaultRowHeight=\"", 'customHeight="1" defaultRowHeight="0.'), "row that is hidden",
    ),
    "columns without width": (
        _replaced(UNUSED_PART, "<sheetFormatPr", '<sheetFormatPr defaultColWidth="0"'), "no width of their own",
    ),
    "rows before the frozen ones": (
        _replaced(UNUSED_PART, "<sheetView ", '<sheetView topLeftCell="A5" '), "frozen at A5, what is before it cannot",
    ),
    "conditional formatting of Excel 2010": (
        _replaced(UNUSED_PART, "</sheetData>", "</sheetData><extLst><ext><x:conditionalFormattings xmlns:x='x14'>"
                  "<x:conditionalFormatting/></x:conditionalFormattings></ext></extLst>"),
        "conditional formatting may hide",
    ),
    "sheet twice": (
        _replaced("xl/workbook.xml", PointClass.READ_ONLY.label, PointClass.UNUSED.label), "is there twice"
    ),
    "deep": (_replaced(UNUSED_PART, "</sheetData>", "</sheetData>" + "<a>" * 100 + "</a>" * 100), "inside each other"),
    "one long tag": (
        _replaced(UNUSED_PART, "<sheetData>", f'<sheetData x="{"".join(map(str, range(400_000)))}">'), "a tag or",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_or_hostile_file_is_one_refusal_with_part_and_reason(review: Review, name: str) -> None:
    change, reason = HOSTILE[name]
    review.edit_parts(change)
    message = review.refusal()
    assert reason in message
    assert message.count("\n- ") == (2 if name in ("rows hidden", "rows without height") else 1)


#: More text than a row may have, which is not packed as well as one letter many times.
LONG = "".join(map(str, range(720_000)))[: (4 << 20) + 1]
RUNS = "".join(f"<r><t>{LONG[start : start + 99_999]}</t></r>" for start in range(0, len(LONG), 99_999))
#: What costs much more memory or time than its bytes.
COSTLY: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "one long cell": (
        _replaced(UNUSED_PART, "</row></sheetData>", f'<c r="V6" t="str"><v>{LONG}</v></c></row></sheetData>'),
        "row 6 has more than 4194304 characters",
    ),
    "one long cell of many runs": (
        _replaced(UNUSED_PART, "</row></sheetData>", f'<c r="V6" t="inlineStr"><is>{RUNS}</is></c></row></sheetData>'),
        "row 6 has more than 4194304 characters",
    ),
    "many columns": (
        _replaced(UNUSED_PART, "<cols>", "<cols>" + '<col min="1" max="16384" hidden="1"/>' * 20_000),
        "describes more than 16384 columns",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_a_small_file_that_costs_much_is_refused_early(review: Review, name: str) -> None:
    change, reason = COSTLY[name]
    review.edit_parts(change)
    started = time.process_time()
    assert reason in review.refusal()
    assert time.process_time() - started < 5


def test_a_long_shared_text_is_refused(review: Review) -> None:
    review.edit_parts(as_libreoffice_saves)
    review.edit_parts(_replaced("xl/sharedStrings.xml", "</sst>", f"<si><t>{LONG}</t></si></sst>"))
    assert "part xl/sharedstrings.xml: a text has more than 4194304 characters" in review.refusal()


def test_of_many_merged_cells_some_are_named(review: Review) -> None:
    merged = "".join(f'<mergeCell ref="S{row}:T{row}"/>' for row in range(3, 50_000))
    review.edit_parts(_replaced(UNUSED_PART, "</sheetData>", f"</sheetData><mergeCells>{merged}</mergeCells>"))
    with pytest.raises(WorkbookRefusedError, match="cells are merged from S3 on") as caught:
        review.read()
    assert len(caught.value.problems) < 2_000


def test_elements_are_counted(review: Review) -> None:
    review.edit_parts(_replaced(UNUSED_PART, "</sheetData>", "</sheetData>" + "<a/>" * 6_000))
    with pytest.raises(WorkbookFileError, match="more than 5000 elements in the file"):
        list_rows(review.path, Limits(elements=5_000))


def list_rows(path: Path, limits: Limits) -> list[Any]:
    with WorkbookFile(path, limits) as file:
        return [row for sheet in file.sheets for row in file.rows(sheet)]


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
