"""Loading statements and filling in names."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from drawsguard import sql
from drawsguard.sql import render


@pytest.fixture
def statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "one.sql"
    path.write_text("-- Purpose: @a\n-- Grain: b\n\nSELECT {{ column }} -- kept\nFROM `{{ project }}.{{ table }}`\n")
    monkeypatch.setattr(sql, "SQL_ROOT", tmp_path)
    sql._environment.cache_clear()
    yield path
    sql._environment.cache_clear()


def test_render_fills_identifiers_and_drops_the_header(statement: Path) -> None:
    assert render(statement.name, column="period", table="draws") == "SELECT period -- kept\nFROM `wprojectl.draws`\n"


@pytest.mark.parametrize("value", ["draws; DROP TABLE x", "a b", "", "`", "1st", "draws.", [3]])
def test_render_refuses_what_is_not_a_name(statement: Path, value: object) -> None:
    with pytest.raises(ValueError, match="bind values as query parameters"):
        render(statement.name, column="period", table=value)  # type: ignore[arg-type]


def test_render_refuses_a_bad_name_in_a_list(statement: Path) -> None:
    with pytest.raises(ValueError, match="column="):
        render(statement.name, column=["period", "1 = 1"], table="draws")


def test_render_names_a_missing_identifier(statement: Path) -> None:
    with pytest.raises(UndefinedError, match="table"):
        render(statement.name, column="period")
