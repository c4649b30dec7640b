"""At each stage of an adoption the analyzer accepts what is sent; in any other order it refuses the views."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drawsguard.settings import get_settings
from tests.sql.analyzer.catalog import Catalog
from tests.sql.analyzer.drives import ADOPTION, SCHEMA
from tests.sql.analyzer.test_statements_are_accepted import judge
from tests.sql.analyzer.zetasql import Analyzer

_DRAWS = (
    "period INT64, timestamp TIMESTAMP, numbers ARRAY<INT64>, sum_value INT64, big_small STRING, odd_even STRING, "
    "created_at TIMESTAMP, updated_at TIMESTAMP"
)


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer() as running:
        yield running


@pytest.fixture
def legacy(analyzer: Analyzer) -> Catalog:
    """The warehouse before the first migration: two datasets with tables of old."""
    settings = get_settings()
    source, target = (f"{settings.project}.{name}" for name in (settings.source_dataset, settings.target_dataset))
    catalog = Catalog(analyzer, (settings.project, f"region-{settings.location}"))
    catalog.analyze(
        f"CREATE SCHEMA `{source}`; CREATE SCHEMA `{target}`; CREATE TABLE `{source}.draws` ({_DRAWS}); "
        f"CREATE TABLE `{target}.draws` ({_DRAWS}); "
        f"CREATE TABLE `{target}.draws_14w` (issue INT64, ts_utc TIMESTAMP, a INT64, b INT64, c INT64, sum INT64)"
    )
    return catalog


def test_every_stage_is_accepted(legacy: Catalog) -> None:
    # One by one: the same text is judged again at a later stage.
    assert [refused for one in ADOPTION.sent for refused in judge(legacy, [one])] == []
    settings = get_settings()
    for dataset, name in ((settings.source_dataset, "draws"), (settings.target_dataset, "draws")):
        columns = [column for column, _ in legacy.tables[settings.project, dataset, name]]
        assert columns[-1] in ("ingested_at", "synced_at")
        assert (settings.project, dataset, f"{name}_unpartitioned") in legacy.tables
    assert (settings.project, settings.target_dataset, "draws_14w_unpartitioned") in legacy.tables


def test_everything_is_created_at_the_end_and_the_statistics_after_the_names_are_switched() -> None:
    files = [one.file or "" for one in ADOPTION.sent]
    ordinary = {one.file for one in SCHEMA.sent if one.file}
    assert ordinary <= set(files)
    renames = [index for index, file in enumerate(files) if file.endswith("history/rename.sql")]
    # BigQuery refuses a partitioned view over an unpartitioned table, which the analyzer does not see.
    assert files.index("include/sql/bigquery/schema/R__140_draw_versions_hourly_mv.sql") > min(renames)
    assert files.index("include/sql/bigquery/schema/R__150_draws_hourly_mv.sql") > max(renames)
    functions = files.index("include/sql/bigquery/schema/R__020_draw_fault.sql")
    assert functions < min(renames)


def test_the_order_of_an_empty_warehouse_is_refused_on_tables_of_old(legacy: Catalog) -> None:
    refused = judge(legacy, SCHEMA.sent)
    for view in ("R__100", "R__110", "R__310", "R__320", "R__330"):
        assert any(f"schema/{view}_" in one for one in refused), view


@pytest.mark.parametrize(
    ("table", "missing", "view"),
    [
        ("cloudscheduler_googleapis_com_executions", "jsonpayload_logging_attemptfinished", "R__340"),
        ("run_googleapis_com_requests", "httpRequest", "R__350"),
        ("cloudaudit_googleapis_com_activity", "protopayload_auditlog", "R__355"),
    ],
)
def test_the_tables_of_log_sinks_have_to_be_there_before_the_sinks(
    analyzer: Analyzer, table: str, missing: str, view: str
) -> None:
    """A sink creates only the columns that it has seen; the migrations create all that the views name."""
    settings = get_settings()
    catalog = Catalog(analyzer, (settings.project, f"region-{settings.location}"))
    monitor = f"{settings.project}.{settings.monitor_dataset}"
    catalog.analyze(
        f"CREATE SCHEMA `{monitor}`; CREATE TABLE `{monitor}.{table}` (logName STRING, timestamp TIMESTAMP)"
    )
    refused = [one for one in judge(catalog, SCHEMA.sent) if f"schema/{view}_" in one]
    assert len(refused) == 1
    assert missing in refused[0] or "resource" in refused[0]
    files = [one.file or "" for one in SCHEMA.sent]
    made = files.index("include/sql/bigquery/schema/V042__exported_logs.sql")
    assert made < min(index for index, file in enumerate(files) if "/R__" in file)
