"""Google's analyzer accepts every statement that the code sends to BigQuery, with the types of what it binds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drawsguard.settings import REPOSITORY, get_settings
from tests.sql.analyzer import drives
from tests.sql.analyzer.catalog import Catalog
from tests.sql.analyzer.drives import DRIVES, SCHEMA, Drive
from tests.sql.analyzer.recording import Sent
from tests.sql.analyzer.zetasql import Analyzer, RefusedError

FOLDERS = (REPOSITORY / "include" / "sql" / "bigquery", REPOSITORY / "local" / "sql")


@pytest.fixture(scope="session")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer() as running:
        yield running


@pytest.fixture(scope="session")
def catalog(analyzer: Analyzer) -> Catalog:
    """The warehouse after all migrations, in the order in which they are applied."""
    settings = get_settings()
    catalog = Catalog(analyzer, (settings.project, f"region-{settings.location}"))
    refused = judge(catalog, SCHEMA.sent)
    assert refused == []
    return catalog


@pytest.fixture(scope="session")
def recorded() -> dict[str, list[Sent]]:
    """What each path sent, in order."""
    return {drive.name: drive.sent for drive in [SCHEMA, *DRIVES]}


def judge(catalog: Catalog, sent: list[Sent]) -> list[str]:
    """Return why statements are refused, in the order in which they were sent; each applies its DDL."""
    refused = []
    for one in dict.fromkeys(sent):
        try:
            catalog.analyze(one.text, one.types)
        except RefusedError as error:
            refused.append(f"{one.file or one.text[:60]} with {one.typing()}: {error}")
    return refused


def test_schema_is_accepted_in_the_order_of_migration(catalog: Catalog) -> None:
    settings = get_settings()
    assert (settings.project, settings.target_dataset, "draws") in catalog.tables
    assert (settings.project, settings.source_dataset, "draw_version") in catalog.functions


@pytest.mark.parametrize("drive", DRIVES, ids=lambda drive: drive.name)
def test_statements_of_a_path_are_accepted(
    drive: Drive,
    recorded: dict[str, list[Sent]],
    catalog: Catalog,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("statements", len(set(recorded[drive.name])))
    assert recorded[drive.name] != []
    assert judge(catalog.copy(), recorded[drive.name]) == []


def test_the_results_of_the_identity_checks_are_loaded_without_a_statement() -> None:
    recorder = Drive("identity", drives.identity).record()
    assert recorder.loaded == ["identity_check_log"]
    assert recorder.sent == []


def test_every_file_is_reached(recorded: dict[str, list[Sent]]) -> None:
    files = {str(path.relative_to(REPOSITORY)) for folder in FOLDERS for path in folder.rglob("*.sql")}
    reached = {one.file for sent in recorded.values() for one in sent if one.file}
    assert files - reached == set(), (
        "No path in tests/sql/analyzer/drives.py sends these statements, so nobody knows with which types they are "
        "called: drive the code that runs them, or delete them."
    )
    assert reached - files == set()


def test_recorded_parameters_are_typed(recorded: dict[str, list[Sent]]) -> None:
    """Arrays of structures keep their fields, NULLs their declared type: the recording is as precise as the binding."""
    (insert,) = {one for one in recorded["collect"] if one.file and one.file.endswith("insert_draws.sql")}
    assert "@draws ARRAY<STRUCT<period INT64, timestamp TIMESTAMP," in insert.typing()
    assert "numbers ARRAY<INT64>" in insert.typing()
    (log,) = {one for one in recorded["failed_sync"] if one.file and one.file.endswith("log_sync.sql")}
    assert "@job_id STRING" in log.typing()
    assert "@affected INT64" in log.typing()
