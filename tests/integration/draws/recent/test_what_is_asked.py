"""What the stages ask BigQuery for on ordinary days, and that they ask whenever they do not know.

The stages are those of `local.histories`, with one memory for all of them, as in production.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings
from drawsguard.warehouse.references import referenced_tables
from local.histories.oracle import Version
from local.histories.world import World
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

BEGIN = datetime(2025, 10, 1, 12, tzinfo=UTC)
CADENCE = timedelta(minutes=20)
#: Of a log: it is evidence, and the bill of it is another matter; the others are streamed.
LOGS = {"sync_log_sync"}


class Listening:
    """A client that notes the statements it is asked to run, and that may not know of any partition."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.asked: Counter[str] = Counter()
        self.references: Counter[str] = Counter()
        self.knows_partitions = True
        #: Statement whose next answer is lost after it has run.
        self.loses = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, *arguments: Any, **options: Any) -> Any:
        labels = options["job_config"].labels if "job_config" in options else {}
        name = labels.get("statement", "of the test")
        self.asked[name] += 1
        self.references[name] += len(referenced_tables(arguments[0]))
        job = self._client.query(*arguments, **options)
        if name == self.loses:
            self.loses = ""
            job.result()
            raise ConnectionError("the answer was lost")
        return job

    def list_rows(self, table: str, **options: Any) -> Any:
        if "$" in table and not self.knows_partitions:
            raise ConnectionError("no answer")
        return self._client.list_rows(table, **options)

    def statements(self) -> dict[str, int]:
        """Return what was asked since the last time, without the logs and what the test itself asks."""
        found = {name: count for name, count in self.asked.items() if name not in LOGS | {"of the test"}}
        self.asked.clear()
        return found

    def billed(self) -> int:
        """Return how many table references were billed for since the last time, at 10 MB each, with those of logs."""
        found = sum(max(1, count) for name, count in self.references.items() if name != "of the test")
        self.references.clear()
        return found


def version(period: int, digits: tuple[int, int, int] = (1, 2, 3)) -> Version:
    drawn = BEGIN + (period - 1000) * CADENCE
    return Version(period, drawn, digits, drawn + timedelta(seconds=5))


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V024__repair_log") as client:
        yield client


@pytest.fixture
def listening(warehouse: Client) -> Listening:
    return Listening(warehouse)


@pytest.fixture
def world(listening: Listening) -> World:
    """A pipeline that runs since three days: everything is synced, whole, and known to be."""
    world = World(listening, now=BEGIN + timedelta(days=3))  # type: ignore[arg-type]
    world.insert(*map(version, range(1000, 1216)))
    for _ in range(2):
        round_of(world)
    listening.statements()
    listening.billed()
    return world


def round_of(world: World) -> None:
    world.sync()
    world.repair()
    world.refresh()


def test_where_nothing_is_new_nothing_is_asked(world: World, listening: Listening) -> None:
    world.wait(timedelta(minutes=5))
    world.collect(version(1214), version(1215))
    round_of(world)
    assert listening.statements() == {}


def test_a_new_draw_takes_three_statements(world: World, listening: Listening) -> None:
    world.now = max(world.now, version(1216).created_at + timedelta(seconds=10))
    world.collect(*map(version, range(1200, 1217)))
    world.wait(timedelta(minutes=5))
    round_of(world)
    assert listening.statements() == {
        "collect_insert_draws": 1,
        "sync_merge_draws": 1,
        "features_merge_features": 1,
    }
    sync_log = 1
    assert listening.billed() == 1 + 2 + 2 + sync_log
    assert world.mismatches() == []


def test_a_new_draw_whose_insert_was_repeated_is_there_once(world: World, listening: Listening) -> None:
    newest = 1217
    world.now = max(world.now, version(newest).created_at + timedelta(seconds=10))
    listening.loses = "collect_insert_draws"
    world.collect(*map(version, range(1200, newest + 1)))
    assert listening.loses == ""
    assert listening.statements()["collect_insert_draws"] == 2
    source = get_settings().table("source", "draws")
    rows = listening.query(f"SELECT COUNT(*) AS n FROM {source} WHERE period = {newest}").result()
    assert [row["n"] for row in rows] == [1]


def test_a_change_in_an_older_day_is_seen_and_healed(world: World, listening: Listening) -> None:
    world.lose_row("draws", 1050)
    world.lose_row("draws_14w", 1055)
    round_of(world)
    asked = listening.statements()
    assert {"repair_unwhole_periods", "features_differing_days"} <= asked.keys()
    world.repair()
    world.refresh()
    assert world.mismatches() == []
    listening.statements()
    round_of(world)
    assert listening.statements() == {}, "and is known to be healed"


def test_a_correction_of_an_older_day_is_found_by_its_period(world: World, listening: Listening) -> None:
    world.collect(version(1050, (9, 9, 9)))
    assert "collect_stored_draws" in listening.statements(), "its stored versions may lie anywhere"
    world.reconcile()
    world.refresh()
    assert world.mismatches() == []


@pytest.mark.parametrize("lost", ["the partitions", "the memory"])
def test_who_does_not_know_asks(world: World, listening: Listening, lost: str) -> None:
    if lost == "the memory":
        world.notes.clear()
    listening.knows_partitions = lost == "the memory"
    round_of(world)
    asked = listening.statements()
    assert {"repair_unwhole_periods", "features_differing_days"} <= asked.keys()
    assert asked.keys() & {"sync_window_periods", "recent_rest"}


def test_the_state_of_another_day_is_not_believed(world: World, listening: Listening) -> None:
    """Yesterday becomes an older day: what was known of the older days does not tell of it."""
    world.wait(timedelta(days=1))
    world.repair()
    world.refresh()
    assert {"recent_rest", "repair_unwhole_periods", "features_differing_days"} <= listening.statements().keys()
    world.repair()
    world.refresh()
    assert listening.statements() == {}


def test_what_nobody_has_is_not_searched_for_before_it_is_due(world: World, listening: Listening) -> None:
    world.lose_row("draws", 1050)
    world._alter(
        f"DELETE FROM {get_settings().table('source', 'draws')} WHERE timestamp >= @earliest AND period = @period", 1050
    )
    del world.feed[1050]
    world.repair()
    world.wait(timedelta(hours=3))
    world.repair()
    world.repair()
    listening.statements()
    world.repair()
    assert listening.statements() == {}
    world.wait(timedelta(hours=2))
    world.repair()
    assert listening.statements(), "the feed is asked again"
