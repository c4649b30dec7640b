"""The migrations against the BigQuery emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard import sql
from drawsguard.settings import Settings
from drawsguard.warehouse import migrations
from drawsguard.warehouse.migrations import MigrationError, MigrationResult, Migrator

pytestmark = pytest.mark.integration


@pytest.fixture
def client(stack: Any, settings: Settings) -> Iterator[Client]:
    stack.require("bigquery")
    client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
    yield client
    for name in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)


def migrator(client: Client) -> Migrator:
    return Migrator(client, dag_id="warehouse_schema", task_id="migrate", run_id="test")


def test_the_whole_schema_is_applied_once_and_recorded(client: Client, settings: Settings) -> None:
    applied = migrator(client).migrate().applied
    assert applied == migrations.load()
    assert migrator(client).migrate() == MigrationResult([], [], ())

    rows = client.query(f"SELECT name, run_id FROM {settings.table('monitor', 'schema_migrations')}").result()
    assert {(row["name"], row["run_id"]) for row in rows} == {(migration.name, "test") for migration in applied}
    for dataset, name in (("source", "draws"), ("source", "draws_dedup_v"), ("target", "draws_realtime")):
        table = client.get_table(settings.table(dataset, name).strip("`"))
        assert [field.name for field in table.schema][:2] == ["period", "timestamp"]
    draws = client.get_table(settings.table("target", "draws").strip("`"))
    assert draws.time_partitioning.type_ == "DAY"
    assert draws.time_partitioning.expiration_ms is None
    # The emulator keeps no clustering: the statement itself is held to it.
    assert sql.render("bigquery/schema/V002__draws.sql").count("CLUSTER BY period") == 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A schema of one table and one view, to be edited."""
    schema = tmp_path / migrations.FOLDER
    schema.mkdir(parents=True)
    for name in ("bootstrap.sql", "applied_migrations.sql", "record_migration.sql"):
        (schema / name).write_text((sql.SQL_ROOT / migrations.FOLDER / name).read_text())
    probe = Path("bigquery") / "history" / "probe.sql"
    (tmp_path / probe).parent.mkdir()
    (tmp_path / probe).write_text((sql.SQL_ROOT / probe).read_text())
    (schema / "V001__one.sql").write_text(
        "CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.one` (a INT64)"
    )
    (schema / "R__100_one_v.sql").write_text(view("a"))
    monkeypatch.setattr(sql, "SQL_ROOT", tmp_path)
    monkeypatch.setattr(migrations, "load", lambda load=migrations.load: load(schema))
    sql._environment.cache_clear()
    yield schema
    sql._environment.cache_clear()


def view(column: str) -> str:
    one = "`{{ project }}.{{ monitor_dataset }}.one`"
    return f"CREATE OR REPLACE VIEW `{{{{ project }}}}.{{{{ monitor_dataset }}}}.one_v` AS SELECT {column} FROM {one}"


def test_a_changed_view_is_replaced(client: Client, settings: Settings, folder: Path) -> None:
    migrator(client).migrate()
    (folder / "R__100_one_v.sql").write_text(view("a + 1 AS b"))
    assert [migration.version for migration in migrator(client).migrate().applied] == ["R__100_one_v"]
    rows = client.query(f"SELECT b FROM {settings.table('monitor', 'one_v')}").result()
    assert list(rows) == []


def test_an_edited_migration_is_refused_and_nothing_is_applied(client: Client, folder: Path) -> None:
    migrator(client).migrate()
    with (folder / "V001__one.sql").open("a") as file:
        file.write("-- edited")
    (folder / "V002__two.sql").write_text(
        "CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.two` (a INT64)"
    )
    with pytest.raises(MigrationError, match=r"V001__one\.sql was applied"):
        migrator(client).migrate()


def test_a_failed_migration_is_not_recorded_and_runs_again(client: Client, folder: Path) -> None:
    broken = folder / "V002__two.sql"
    broken.write_text("CREATE TABLE IF NOT EXISTS nowhere.at.all.two (a INT64)")
    with pytest.raises(Exception, match=r".+"):
        migrator(client).migrate()
    broken.write_text("CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.two` (a INT64)")
    sql._environment.cache_clear()
    assert [migration.version for migration in migrator(client).migrate().applied] == ["V002", "R__100_one_v"]
