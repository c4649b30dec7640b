"""The collector against the real feed server and the BigQuery emulator: what is stored is what the feed knows."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.draws.collect import source_repository as store_module
from drawsguard.draws.collect.feed import Answer, AnswerImplausibleError, AnswerNotJsonError, FeedHttpError, Rejected
from drawsguard.draws.collect.poll import Poll, recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.model import Draw
from drawsguard.settings import get_settings
from drawsguard.sql import render
from local.feed.server import FeedServer, FeedState
from local.feed.simulator import NO_FAULTS, FaultRates
from operators.draws.collect.draw_collect_operator import DrawCollectOperator
from operators.draws.collect.draw_history_plan_operator import DrawHistoryPlanOperator
from operators.draws.collect.draw_history_read_operator import DrawHistoryReadOperator

pytestmark = pytest.mark.integration

T0 = datetime(2025, 10, 1, tzinfo=UTC)

#: What the feed's clock shows.
NOW = datetime(2025, 10, 4, 8, 30, tzinfo=UTC)

#: Faults so frequent that a few hundred draws meet each of them.
MANY_FAULTS = FaultRates(late=0.1, corrected=0.1, duplicated=0.1, malformed=0.1, history_only=0.05)


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    """Datasets of this module's own, with the part of the schema that the collector meets."""
    stack.require("bigquery")
    with pytest.MonkeyPatch.context() as environment:
        suffix = uuid.uuid4().hex[:8]
        for dataset in ("source", "target", "monitor"):
            environment.setenv(f"DRAWSGUARD_{dataset.upper()}_DATASET", f"collect_{dataset}_{suffix}")
        get_settings.cache_clear()
        settings = get_settings()
        client = Client(project=settings.project, credentials=AnonymousCredentials(), location=settings.location)
        for migration in (
            "bootstrap",
            "V001__datasets",
            "V002__draws",
            "V003__logs",
            "R__010_draw_version",
            "R__100_draws_dedup_v",
            "R__140_draw_versions_hourly_mv",
        ):
            client.query(render(f"bigquery/schema/{migration}.sql")).result(timeout=60)
        yield client
        for name in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    get_settings.cache_clear()


@pytest.fixture
def client(warehouse: Client) -> Client:
    """The warehouse, emptied."""
    settings = get_settings()
    for table in (("source", "draws"), ("source", "draws_quarantine"), ("monitor", "collect_log")):
        warehouse.query(f"TRUNCATE TABLE {settings.table(*table)}").result()
    return warehouse


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[FeedState]:
    """A feed of three days whose clock stands still, with the fault rates of the test's parameter."""
    state = FeedState.open(tmp_path / "feed", rates=getattr(request, "param", NO_FAULTS), start=NOW, speed=0)
    server = FeedServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{server.server_port}")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def context(**params: str | None) -> dict[str, Any]:
    return {"params": params, "run_id": "manual__1", "ti": SimpleNamespace(try_number=1)}


def collect(**params: str | None) -> None:
    """Run the task as Airflow does, without waiting between the polls."""
    operator, run = DrawCollectOperator(task_id="collect"), context(**params)
    resumed: tuple[str, dict[str, Any]] | None = None
    while True:
        try:
            return operator.resume_execution(*resumed, run) if resumed else operator.execute(run)
        except TaskDeferred as parked:
            resumed = parked.method_name, {**(parked.kwargs or {}), "event": datetime.now(UTC)}


def collect_history(feed: FeedState) -> None:
    start = feed.simulator.config.since
    assert start is not None
    read_history(**{"from": start.isoformat(), "to": NOW.isoformat()})


def read_history(**params: Any) -> list[dict[str, int]]:
    """Run the tasks of draw_history, as Airflow maps them."""
    run: Any = {"run_id": "manual__1", "ti": SimpleNamespace(try_number=1), "params": params}
    pieces = DrawHistoryPlanOperator(task_id="plan").execute(run)
    return [DrawHistoryReadOperator(task_id="read", piece=piece).execute(run) for piece in pieces]


def rows(client: Client, table: str, columns: str, where: str = "TRUE", order: str = "1") -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order}"
    return [tuple(row.values()) for row in client.query(query).result()]


def versions(client: Client) -> list[tuple[Any, ...]]:
    columns = "period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, ingested_at"
    table = get_settings().table("source", "draws")
    return rows(client, table, columns, "timestamp >= TIMESTAMP '2000-01-01'", "period, ingested_at, updated_at")


def newest(client: Client) -> dict[int, tuple[Any, ...]]:
    view = get_settings().table("source", "draws_dedup_v")
    return {row[0]: row[1:] for row in rows(client, view, "period, timestamp, numbers, created_at, updated_at")}


def truth(feed: FeedState) -> dict[int, tuple[Any, ...]]:
    draws = feed.simulator.truth(T0, NOW, as_of=NOW)
    return {d.period: (d.timestamp, list(d.numbers), d.created_at, d.updated_at) for d in draws}


def log_rows(client: Client) -> list[tuple[Any, ...]]:
    columns = "poll_number, http_status, received, inserted, quarantined, status, error"
    return rows(client, get_settings().table("monitor", "collect_log"), columns, order="polled_at, poll_number")


def quarantined(client: Client) -> list[tuple[Any, ...]]:
    return rows(client, get_settings().table("source", "draws_quarantine"), "reason, raw, source, detail")


@pytest.mark.parametrize("feed", [MANY_FAULTS], indirect=True)
def test_history_equals_the_truth_and_a_second_run_changes_nothing(client: Client, feed: FeedState) -> None:
    collect_history(feed)
    assert newest(client) == truth(feed)
    first, bad = versions(client), quarantined(client)
    assert bad, "one draw in ten has a malformed row beside it"

    collect_history(feed)
    assert versions(client) == first
    assert quarantined(client) == bad
    assert [row[3] for row in log_rows(client)] == [len(first), 0]


def test_a_poll_that_hears_nothing_new_reads_no_draws(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    stored = SourceRepository.stored
    monkeypatch.setattr(SourceRepository, "stored", lambda *given: read.append(1) or stored(*given))
    collect()
    collect()
    written, first, second = log_rows(client)
    assert written[3] > 0 == first[3] == second[3]
    assert first[2] == second[2] > 0
    assert second[5] == "success"
    assert len(read) == 2, "another run trusts no poll of the run before"


@pytest.mark.parametrize("feed", [MANY_FAULTS], indirect=True)
def test_a_worker_killed_before_or_after_a_write_leaves_work_that_the_next_attempt_finishes(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, after in (("quarantine", False), ("insert_draws", False), ("insert_draws", True)):
        write = getattr(SourceRepository, step)

        def dies(*arguments: Any, write: Any = write, after: bool = after) -> int:
            if after:
                write(*arguments)
            raise SystemExit("killed")

        with monkeypatch.context() as patch:
            patch.setattr(SourceRepository, step, dies)
            with pytest.raises(SystemExit):
                collect_history(feed)
    collect_history(feed)
    assert newest(client) == truth(feed)
    assert len(versions(client)) == len({str(row[:-1]) for row in versions(client)}), "a version is stored once"
    assert len(quarantined(client)) == len({row[1] for row in quarantined(client)})


@pytest.mark.parametrize("feed", [MANY_FAULTS], indirect=True)
def test_polls_hold_the_newest_draws_and_fill_holes_from_the_history(client: Client, feed: FeedState) -> None:
    collect()
    stored = newest(client)
    expected = {period: row for period, row in truth(feed).items() if period >= min(stored)}
    hidden = {p for p in expected if feed.simulator.draw(p).history_only and p < max(stored)}
    assert hidden, "the test needs a draw that only the history shows"
    assert stored == {period: row for period, row in expected.items() if period <= max(stored)}
    collect()
    log = log_rows(client)
    assert [(row[0], row[1], row[5]) for row in log] == [(number, 200, "success") for number in (1, 1, 2)]
    assert [row[3] for row in log[1:]] == [0, 0], "the other polls find nothing new"


def draw(numbers: tuple[int, int, int], updated_at: datetime | None = None, period: int = 100) -> Draw:
    return Draw.derive(period, T0, numbers, T0 + timedelta(seconds=5), updated_at)


def minutes(count: float) -> datetime:
    return T0 + timedelta(minutes=count)


def test_a_correction_is_a_further_version(client: Client) -> None:
    store = SourceRepository(client, "test", "test")
    assert store.insert_draws([draw((1, 2, 3))], minutes(1)) == 1
    assert store.insert_draws([draw((4, 5, 6), minutes(2))], minutes(3)) == 1
    assert store.insert_draws([draw((4, 5, 6), minutes(2))], minutes(4)) == 0, "the same version again"
    assert store.insert_draws([draw((1, 2, 3), minutes(1))], minutes(5)) == 0, "an answer older than what is stored"
    assert store.insert_draws([draw((1, 2, 3), minutes(6))], minutes(7)) == 1, "corrected back"
    assert [(row[2], row[7]) for row in versions(client)] == [
        ([1, 2, 3], None),
        ([4, 5, 6], minutes(2)),
        ([1, 2, 3], minutes(6)),
    ]
    assert newest(client)[100][1] == [1, 2, 3]


def test_a_correction_without_a_date_is_dated_by_the_poll(client: Client) -> None:
    store = SourceRepository(client, "test", "test")
    store.insert_draws([draw((1, 2, 3))], minutes(1))
    silent = replace(draw((4, 5, 6)), created_at=minutes(3))
    assert store.insert_draws([silent], minutes(3)) == 1
    assert store.insert_draws([silent], minutes(4)) == 0
    _, corrected = versions(client)
    assert corrected[6:] == (T0 + timedelta(seconds=5), minutes(3), minutes(3)), "created_at stays that of the first"


def test_a_correction_from_before_the_poll_that_dated_its_draw_is_newer(client: Client) -> None:
    """A cached page without stamps: the draw's created_at is the poll, and later than what corrects it."""
    store = SourceRepository(client, "test", "test")
    store.insert_draws([replace(draw((1, 2, 3)), created_at=minutes(3))], minutes(3))
    corrected = draw((4, 5, 6), minutes(2))
    assert store.insert_draws([corrected], minutes(4)) == 1
    assert store.insert_draws([corrected], minutes(5)) == 0
    assert newest(client)[100][1:] == ([4, 5, 6], minutes(3), minutes(3))


def test_a_moved_time_is_a_correction(client: Client) -> None:
    store = SourceRepository(client, "test", "test")
    store.insert_draws([draw((1, 2, 3))], minutes(1))
    moved = replace(draw((1, 2, 3), minutes(5)), timestamp=minutes(4))
    assert store.insert_draws([moved], minutes(6)) == 1
    assert newest(client)[100][0] == minutes(4)


def test_a_correction_by_days_without_a_date_is_a_version_of_the_stored_draw(client: Client) -> None:
    """Stored versions are found by period: otherwise it would count as a new draw, and as the older one of the two."""
    store = SourceRepository(client, "test", "test")
    store.insert_draws([draw((1, 2, 3)), replace(draw((1, 2, 3), period=101), timestamp=minutes(4))], minutes(10))
    moved = replace(draw((4, 5, 6)), timestamp=T0 - timedelta(days=3))
    assert store.insert_draws([moved], minutes(11)) == 1
    assert newest(client)[100][:2] == (moved.timestamp, [4, 5, 6])
    assert store.insert_draws([moved], minutes(12)) == 0
    assert store.insert_draws([replace(draw((7, 8, 9)), timestamp=minutes(1))], minutes(13)) == 1, "and back"
    assert newest(client)[100][:2] == (minutes(1), [7, 8, 9])


def test_of_two_versions_with_one_date_the_same_one_is_newest_in_whatever_order_they_come(client: Client) -> None:
    store = SourceRepository(client, "test", "test")
    store.insert_draws([draw((0, 0, 1)), draw((0, 0, 1), period=101)], minutes(1))
    low, high = (4, 5, 6), (7, 8, 9)
    for period, order in ((100, (low, high)), (101, (high, low))):
        for poll, numbers in enumerate([*order, *order], start=3):
            store.insert_draws([draw(numbers, minutes(2), period)], minutes(poll))
    assert {row[1][0] for row in newest(client).values()} == {7}
    assert len(versions(client)) == 2 + 2 + 1, "no version is stored below the newest, and none again and again"


# --- the rule for times -------------------------------------------------------------------------------------
def consecutive(*periods: int, moved: timedelta = timedelta()) -> list[Draw]:
    """Draws at the cadence, period 100 at T0."""
    at = {period: T0 + (period - 100) * timedelta(seconds=210) + moved for period in periods}
    return [Draw.derive(period, at[period], (1, 2, 3), at[period] + timedelta(seconds=5)) for period in periods]


def poll(client: Client, *answers: list[Draw], at: datetime = NOW) -> Poll:
    store = SourceRepository(client, "draw_collect", "collect")
    with recorded_poll(store, "latest", "manual__1", 1, 1) as done:
        done.write(Answer(at, tuple(draws), (), len(draws)) for draws in answers)
    return done


def test_a_draw_whose_time_does_not_fit_its_neighbours_is_quarantined_and_stops_no_other(client: Client) -> None:
    poll(client, consecutive(*range(100, 110)))
    (early,), (moved,) = (
        consecutive(110, moved=timedelta(days=-3)), consecutive(105, moved=timedelta(days=-3))
    )  # fmt: skip
    done = poll(client, [*consecutive(*range(103, 105)), moved, early, *consecutive(111, 112)])
    assert (done.inserted, done.quarantined) == (2, 2)
    assert sorted(newest(client)) == [*range(100, 110), 111, 112]
    assert newest(client)[105][0] == consecutive(105)[0].timestamp
    found = quarantined(client)
    assert [reason for reason, *_ in found] == ["time_implausible"] * 2
    assert f"draw 109 was drawn at {consecutive(109)[0].timestamp.isoformat()}, so draw 110 is expected" in " ".join(
        detail for *_, detail in found
    )
    assert poll(client, [early, *consecutive(111, 112)]).quarantined == 0, "the next poll shows them again"
    assert poll(client, consecutive(110)).inserted == 1, "its right time"


def test_an_answer_that_contradicts_what_is_stored_is_named_and_nothing_of_it_is_stored(client: Client) -> None:
    poll(client, consecutive(*range(100, 110)))
    before = versions(client)
    with pytest.raises(AnswerImplausibleError, match="6 of 6 draws have times that contradict") as caught:
        poll(client, consecutive(*range(107, 113), moved=timedelta(days=-1)))
    assert "if the stored draws are" in str(caught.value)
    assert versions(client) == before
    assert len(quarantined(client)) == 6
    assert log_rows(client)[-1][5] == "failed"


def test_many_draws_are_written_in_batches(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BATCH_SIZE", 300)
    draws = [replace(draw((1, 2, 3), period=i), timestamp=T0 + i * timedelta(seconds=210)) for i in range(1, 701)]
    statements: list[str] = []
    counting = SimpleNamespace(query=lambda sql, **kwargs: statements.append(sql) or client.query(sql, **kwargs))
    assert SourceRepository(counting, "test", "test").insert_draws(draws, minutes(1)) == 700  # type: ignore[arg-type]
    assert len([sql for sql in statements if "INSERT INTO" in sql]) == 3
    assert list(newest(client)) == list(range(1, 701))


def test_jobs_are_labelled_and_capped(client: Client) -> None:
    jobs: list[Any] = []
    spy = SimpleNamespace(query=lambda sql, **kwargs: jobs.append(kwargs["job_config"]) or client.query(sql, **kwargs))
    store = SourceRepository(spy, "draw_collect", "collect")  # type: ignore[arg-type]
    store.insert_draws([draw((1, 2, 3))], minutes(1))
    store.quarantine([Rejected("number_invalid", "detail", "raw")], "latest", minutes(1))
    assert [job.maximum_bytes_billed for job in jobs] == [get_settings().maximum_bytes_billed] * 3
    assert [job.labels for job in jobs] == [
        {"dag": "draw_collect", "task": "collect", "statement": f"collect_{statement}"}
        for statement in ("stored_bounds", "insert_draws", "insert_quarantine")
    ]


def test_garbage_is_quarantined_and_fails_the_task(client: Client, feed: FeedState) -> None:
    feed.add_fault("garbage", None, 1)
    with pytest.raises(AnswerNotJsonError, match="not JSON"):
        collect()
    ((_, status, received, inserted, count, outcome, error),) = log_rows(client)
    assert (status, received, inserted, count, outcome) == (200, 0, 0, 1, "failed")
    assert "AnswerNotJsonError" in error
    ((reason, raw, source, _),) = quarantined(client)
    assert (reason, source) == ("answer_not_json", "latest")
    assert raw.startswith("<html>")
    collect()  # the feed is well again
    assert newest(client) != {}


def test_a_server_error_fails_the_task_with_its_status(client: Client, feed: FeedState) -> None:
    feed.add_fault("error", None, 9)
    with pytest.raises(FeedHttpError, match="HTTP 500"):
        collect()
    assert [(row[1], row[5]) for row in log_rows(client)] == [(500, "failed")]
    assert versions(client) == []


def test_an_empty_answer_fails_the_task(client: Client, feed: FeedState) -> None:
    feed.add_fault("empty", None, 1)
    with pytest.raises(AnswerNotJsonError):
        collect()
    assert quarantined(client) == [], "nothing was received, nothing is kept"


def test_good_pages_are_written_before_a_broken_page_fails_the_poll(client: Client) -> None:
    def pages() -> Iterator[Answer]:
        yield Answer(minutes(1), (draw((1, 2, 3)),), (), 1)
        raise FeedHttpError("the second page answered HTTP 502", "Bad Gateway", 502)

    store = SourceRepository(client, "draw_collect", "collect")
    with pytest.raises(FeedHttpError), recorded_poll(store, "history", "manual__1", 1, 1) as poll:
        poll.write(pages())
    assert list(newest(client)) == [100]
    ((_, status, received, inserted, count, outcome, error),) = log_rows(client)
    assert (status, received, inserted, count, outcome) == (502, 1, 1, 1, "failed")
    assert error == "FeedHttpError: the second page answered HTTP 502"


@pytest.mark.parametrize(
    "params",
    [
        {"from": None, "to": None},
        {"from": "2025-10-01T00:00:00+00:00", "to": None},
        {"from": "2025-10-02T00:00:00+00:00", "to": "2025-10-01T00:00:00+00:00"},
        {"from": "2025-10-01T00:00:00", "to": "2025-10-02T00:00:00"},
    ],
)
def test_a_range_that_is_none_fails_at_once(params: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="Nothing was run"):
        read_history(**params)


def test_a_row_is_quarantined_once(client: Client) -> None:
    store = SourceRepository(client, "test", "test")
    bad = Rejected("number_invalid", "not three digits", json.dumps({"nbr": 5, "number": "8+8"}), 5)
    assert store.quarantine([bad, bad], "latest", minutes(1)) == 1
    assert store.quarantine([bad], "history", minutes(2)) == 0
    assert len(quarantined(client)) == 1
