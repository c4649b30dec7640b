"""The report as text that is pasted into a spreadsheet: no cell is executed, or moves into another one."""

from __future__ import annotations

import pytest

from drawsguard.points.review.candidate import HEADERS
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.usage_report import tab_separated
from drawsguard.points.review.workbook import ReviewRow


@pytest.mark.parametrize("text", ['"=1+1"', '"a', '" =1+1', '"'])
def test_no_text_is_read_as_quoted(text: str) -> None:
    """What is quoted is a formula all the same, and a quote without its end takes the cells after it along."""
    _, line = tab_separated([ReviewRow(PointClass.UNUSED, [1, text, *[""] * 16])])
    assert line.split("\t")[2] == f"'{text}"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\n=", " -", "\r\n@", "\u3000="])
def test_no_text_starts_like_a_formula_or_leaves_its_cell(start: str) -> None:
    cells = [1, f"{start}cmd\t=2\n=3", *[""] * 7, -5]
    _, line = tab_separated([ReviewRow(PointClass.UNUSED, cells)])
    found = line.split("\t")
    assert len(found) == 1 + len(cells)
    assert found[2].startswith("'")
    assert found[-1] == "-5", "a number is no text"
    assert len(HEADERS) > len(cells)
