"""Loading and binding statements."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from drawsguard import sql
from drawsguard.sql import Typed, bind, job_configuration, label, query_config, render


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "BOOL"),
        (1, "INT64"),
        (1.5, "FLOAT64"),
        ("a", "STRING"),
        (datetime(2025, 1, 1, tzinfo=UTC), "TIMESTAMP"),
        (date(2025, 1, 1), "DATE"),
        (Typed("TIMESTAMP", None), "TIMESTAMP"),
    ],
)
def test_bind_types_scalars(value: object, expected: str) -> None:
    (parameter,) = bind(name=value)
    assert parameter.to_api_repr()["parameterType"] == {"type": expected}


@pytest.mark.parametrize(("value", "expected"), [([1, 2], "INT64"), (["a"], "STRING"), (Typed("INT64", []), "INT64")])
def test_bind_types_arrays(value: object, expected: str) -> None:
    (parameter,) = bind(name=value)
    assert parameter.to_api_repr()["parameterType"] == {"type": "ARRAY", "arrayType": {"type": expected}}


@pytest.mark.parametrize("value", [None, [], object()])
def test_bind_refuses_values_without_a_known_type(value: object) -> None:
    with pytest.raises(TypeError, match="@name"):
        bind(name=value)


def test_bind_refuses_a_time_without_zone() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        bind(at=datetime(2025, 1, 1))  # noqa: DTZ001 - the fault under test


def test_every_job_has_a_ceiling_and_labels() -> None:
    config = query_config("draw_sync", "Group.Sync", period=1)
    assert config.maximum_bytes_billed == 10 * 1024**3
    assert config.labels == {"dag": "draw_sync", "task": "group_sync"}
    assert config.use_legacy_sql is False

    resource = job_configuration("SELECT 1", "draw_sync", "sync")
    assert resource["query"]["query"] == "SELECT 1"
    assert resource["query"]["maximumBytesBilled"] == str(10 * 1024**3)


def test_label_fits_bigquery() -> None:
    assert label("A" * 80 + "!") == "a" * 63
