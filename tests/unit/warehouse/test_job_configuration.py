"""What every query job carries."""

from __future__ import annotations

from drawsguard.warehouse.job_configuration import job_configuration, label, query_config
from drawsguard.warehouse.limits import WATCH


def test_every_job_has_ceilings_and_labels() -> None:
    config = query_config("sync/merge_draws.sql", "draw_sync", "Group.Sync", {"period": 1}, WATCH)
    assert config.maximum_bytes_billed == 10 * 1024**3
    assert config.labels == {"dag": "draw_sync", "task": "group_sync", "statement": "sync_merge_draws"}
    assert config.use_legacy_sql is False
    assert int(config.job_timeout_ms) == 30_000


def test_the_operator_gets_the_same_as_the_runner() -> None:
    resource = job_configuration("monitoring/ping.sql", "draw_sync", "sync")
    assert resource["query"].pop("query") == "SELECT 1 AS one;\n"
    assert resource == query_config("monitoring/ping.sql", "draw_sync", "sync", {}).to_api_repr()


def test_label_fits_bigquery() -> None:
    assert label("A" * 80 + "!") == "a" * 63
