"""What NOS may say about a point's storage, and the workbook that keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openpyxl import load_workbook

from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.downline.structures import STRUCTURE_WORKBOOK, StructureError, parse_structure, write_structures

GOOD = {"cluster": "redis_evt_A", "type": "hash", "key": "evt:{user}", "field": "1024:{day}"}


def test_a_structure_is_read() -> None:
    assert parse_structure(1024, json.dumps(GOOD)) == Structure(1024, "redis_evt_A", "hash", "evt:{user}", "1024:{day}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster": ""}, "cluster"),
        ({"cluster": "x" * 65}, "cluster"),
        ({"cluster": "redis\ud800"}, "cluster"),
        ({"type": "stream"}, "type"),
        ({"type": ["hash"]}, "type"),
        ({"type": "string"}, "names a field"),
        ({"key": ""}, "key template"),
        ({"key": None}, "key template"),
        ({"key": "evt:{user"}, "key template"),
        ({"key": "evt:{}"}, "key template"),
        ({"key": "x" * 513}, "key template"),
        ({"key": "evt:\ud800"}, "key template"),
        ({"key": "evt:\n{user}"}, "key template"),
        ({"field": "{date}\x00"}, "field template"),
        ({"field": 7}, "field template"),
        ({"extra": 1}, "cluster, type, key, field"),
    ],
)
def test_an_unusable_structure_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_structure(1024, json.dumps(GOOD | change))


@pytest.mark.parametrize("payload", ["", "{not json", "[]", "null", "[" * 100_000])
def test_what_is_no_object_is_refused(payload: str) -> None:
    with pytest.raises(StructureError, match="point 1024"):
        parse_structure(1024, payload)


def test_the_workbook_keeps_templates_as_text(tmp_path: Path) -> None:
    path = tmp_path / STRUCTURE_WORKBOOK
    write_structures(path, [Structure(7, "redis_mq", "string", "=evt:{user}", None)])
    sheet = load_workbook(path).worksheets[0]
    cell = sheet["D2"]
    assert (sheet["A2"].value, cell.value, cell.data_type, sheet["E2"].value) == (7, "=evt:{user}", "s", None)
