"""Holes of every kind, healed to the feed's truth: by draw_repair, by the reconcile, and reported."""

from __future__ import annotations

import mailbox
import random
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from google.cloud.bigquery import Client

from drawsguard.draws.collect.feed import FeedUnreachableError
from drawsguard.draws.model import MAX_PERIOD, Draw
from drawsguard.draws.repair.gaps import find_gaps
from drawsguard.draws.repair.repairer import Repairer, RepairIncompleteError
from drawsguard.draws.sync.target import DrawsDifferError
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner
from local.feed.server import FeedServer, FeedState
from local.feed.simulator import FaultRates
from operators.draws.collect.draw_history_read_operator import DrawHistoryReadOperator
from operators.draws.repair.draw_reconcile_operator import DrawReconcileOperator
from operators.draws.repair.draw_repair_operator import DrawRepairOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate
from tests.integration.sync_support import collect, newest_versions, sync, target_rows

pytestmark = pytest.mark.integration

#: Some draws are never published: nobody has them.
RATES = FaultRates(late=0, corrected=0, duplicated=0, malformed=0, history_only=0, unpublished=0.02)


@pytest.fixture(scope="module")
def warehouse(stack: Any) -> Iterator[Client]:
    stack.require("smtp")
    with draws_warehouse(stack, "V024__repair_log", "R__230_mttr_v") as client:
        yield client


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedState]:
    """A feed of one day up to now, whose clock stands still."""
    state = FeedState.open(tmp_path_factory.mktemp("feed"), rates=RATES, history_days=1, speed=0)
    server = FeedServer(("127.0.0.1", 0), state)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{server.server_port}")
        yield state
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def filled(warehouse: Client, feed: FeedState) -> Client:
    """The whole feed collected an hour ago and synced, with a copy of both tables to start each test from."""
    start, end = span(feed)
    params = {"from": start.isoformat(), "to": end.isoformat()}
    ti = SimpleNamespace(try_number=1)
    DrawHistoryReadOperator(task_id="read", piece=params).execute({"run_id": "read", "ti": ti})
    sync(**params)
    assert {row.period for row in target_rows(warehouse)} == set(truth(feed))
    source, target = get_settings().table("source", "draws"), get_settings().table("target", "draws")
    settle(warehouse)
    for table in (source, target):
        warehouse.query(
            f"CREATE TABLE {table.replace('draws`', 'good`')} AS SELECT * FROM {table} "
            "WHERE timestamp >= TIMESTAMP '2000-01-01'"
        ).result()
    return warehouse


@pytest.fixture
def client(filled: Client) -> Client:
    """The warehouse as it was filled, with empty logs."""
    tables = ("repair_log", "incident_reports", "sync_log", "collect_log")
    truncate(filled, ("source", "draws"), ("target", "draws"), *(("monitor", table) for table in tables))
    for side in ("source", "target"):
        filled.query(
            f"INSERT INTO {get_settings().table(side, 'draws')} SELECT * FROM {get_settings().table(side, 'good')}"
        ).result()
    return filled


def settle(client: Client) -> None:
    """Let two hours pass since everything was collected: what comes late is under way for an hour, not missing."""
    client.query(
        f"UPDATE {get_settings().table('source', 'draws')} "
        "SET ingested_at = TIMESTAMP_SUB(ingested_at, INTERVAL 2 HOUR) WHERE timestamp >= TIMESTAMP '2000-01-01'"
    ).result()


def span(feed: FeedState) -> tuple[datetime, datetime]:
    start = feed.simulator.config.since
    assert start is not None
    return start, feed.clock.now() + timedelta(seconds=1)


def truth(feed: FeedState) -> dict[int, tuple[int, ...]]:
    """The digits of every draw that the feed has published."""
    start, end = span(feed)
    return {draw.period: tuple(draw.numbers) for draw in feed.simulator.truth(start, end, as_of=feed.clock.now())}


def settled(feed: FeedState) -> list[int]:
    """Published periods that are neither under way nor at the edge of history."""
    start, _ = span(feed)
    early = feed.clock.now() - timedelta(minutes=20)
    return [draw.period for draw in feed.simulator.truth(start, early, as_of=feed.clock.now())][2:-2]


def consecutive(feed: FeedState, count: int) -> list[int]:
    """The first settled periods that follow each other, with none between them that was never published."""
    known = settled(feed)
    runs = (known[at : at + count] for at in range(10, len(known) - count))
    return next(run for run in runs if run[-1] - run[0] == count - 1)


def unpublished(feed: FeedState) -> set[int]:
    published = truth(feed)
    return set(range(min(published), max(published))) - set(published)


def remove(client: Client, periods: list[int], *sides: str) -> None:
    for side in sides:
        client.query(
            f"DELETE FROM {get_settings().table(side, 'draws')} WHERE timestamp >= TIMESTAMP '2000-01-01' "
            f"AND period IN ({', '.join(map(str, periods))})"
        ).result()


def run(run_type: str = "scheduled", run_id: str = "run", **params: Any) -> dict[str, Any]:
    defaults = {"from": None, "to": None, "dry_run": True}
    context = {
        "params": defaults | params,
        "ti": SimpleNamespace(run_id=run_id, try_number=1),
        "dag_run": SimpleNamespace(run_type=run_type),
    }
    return DrawRepairOperator(task_id="repair").execute(context)


def log(client: Client) -> dict[int, dict[str, Any]]:
    found = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'repair_log')}")
    assert len(found) == len({row["period"] for row in found})
    return {row["period"]: row for row in found}


@pytest.mark.parametrize(("size", "sides"), [(1, ("target",)), (16, ("target",)), (154, ("source", "target"))])
def test_a_hole_is_healed_by_the_next_scheduled_run(
    client: Client, feed: FeedState, size: int, sides: tuple[str, ...]
) -> None:
    hole = settled(feed)[40 : 40 + size]
    remove(client, hole, *sides)
    result = run()
    assert set(hole) <= set(truth(feed))
    assert {row.period: row.numbers for row in target_rows(client)} == truth(feed)
    assert result["repaired"] == size
    assert set(result["nobody_has"]) == {p for p in unpublished(feed) if p > min(truth(feed)) and p in log(client)}
    repaired = {period: row for period, row in log(client).items() if row["status"] == "repaired"}
    assert set(repaired) == set(hole)
    assert all(0 < row["repair_seconds"] < 120 for row in repaired.values())
    assert {row["cause"] for row in repaired.values()} == {"not_collected" if "source" in sides else "not_synced"}
    assert run(run_id="again")["repaired"] == 0, "a second run finds nothing to repair"


def test_random_holes_anywhere_are_healed(client: Client, feed: FeedState) -> None:
    rng = random.Random(3)
    for number in range(3):
        known = settled(feed)
        remove(client, rng.sample(known, 25), "target")
        remove(client, rng.sample(known, 10), "source", "target")
        run(run_id=f"run-{number}")
        settle(client)
        assert {row.period: row.numbers for row in target_rows(client)} == truth(feed)


def test_a_persons_run_reports_and_writes_nothing(client: Client, feed: FeedState) -> None:
    hole = consecutive(feed, 4)
    remove(client, hole, "target")
    before = sorted(row.period for row in target_rows(client))
    result = run("manual")
    assert (result["dry_run"], result["repaired"]) == (True, 0)
    assert {"first_period": hole[0], "last_period": hole[-1], "draws": 4, "cause": "not_synced"}.items() <= next(
        gap for gap in result["gaps"] if gap["cause"] == "not_synced"
    ).items()
    assert sorted(row.period for row in target_rows(client)) == before
    assert log(client) == {}
    start, end = span(feed)
    result = run("manual", dry_run=False, **{"from": start.isoformat(), "to": end.isoformat()})
    assert result["repaired"] == 4


def test_only_the_asked_range_is_repaired(client: Client, feed: FeedState) -> None:
    known = settled(feed)
    early, late = known[20], known[-20]
    remove(client, [early, late], "target")
    times = {draw.period: draw.timestamp for draw in feed.simulator.truth(*span(feed))}
    around = {"from": times[early] - timedelta(minutes=30), "to": times[early] + timedelta(minutes=30)}
    result = run("manual", dry_run=False, **{key: moment.isoformat() for key, moment in around.items()})
    assert result["repaired"] == 1
    assert late not in {row.period for row in target_rows(client)}


def test_draws_that_nobody_has_are_named_and_not_asked_for_all_the_time(client: Client, feed: FeedState) -> None:
    polls = f"SELECT COUNT(*) AS n FROM {get_settings().table('monitor', 'collect_log')}"
    before = rows(client, polls)[0]["n"]
    result = run()
    lost = {period for period, row in log(client).items() if row["status"] == "nobody_has"}
    assert lost
    assert lost <= unpublished(feed)
    assert set(result["nobody_has"]) == lost
    asked = rows(client, polls)[0]["n"]
    assert asked > before
    client.query(
        f"UPDATE {get_settings().table('monitor', 'repair_log')} "
        "SET detected_at = TIMESTAMP_SUB(detected_at, INTERVAL 1 HOUR) WHERE TRUE"
    ).result()
    assert run(run_id="later")["open"] == sorted(lost)
    assert rows(client, polls)[0]["n"] == asked, "asked a moment ago: not again yet"


def test_a_wrong_period_typed_by_hand_is_named_each_time_and_never_searched_for(
    client: Client, feed: FeedState
) -> None:
    run()
    typed, lost, newest, hole = MAX_PERIOD, set(log(client)), settled(feed)[-1], settled(feed)[20]
    under_way = [period for period in truth(feed) if period > newest]
    remove(client, [hole, *under_way], "source", "target")
    for side in ("source", "target"):
        table = get_settings().table(side, "draws")
        client.query(
            f"INSERT INTO {table} SELECT * REPLACE ({typed} AS period) FROM {table} "
            f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {newest}"
        ).result()
    with pytest.raises(RepairIncompleteError, match=rf"and {typed} lie .* one of the two has a wrong period"):
        run(run_id="next")
    assert hole in {row.period for row in target_rows(client)}, "what is missing beside it is repaired"
    with pytest.raises(RepairIncompleteError, match="wrong period"):
        run(run_id="after")
    assert set(log(client)) == {hole, *lost}
    assert not rows(
        client, f"SELECT * FROM {get_settings().table('monitor', 'incident_reports')} WHERE incident_id LIKE '%after'"
    )


def test_with_the_feed_down_what_was_collected_is_repaired_first(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = settled(feed)
    remove(client, known[30:33], "target")
    remove(client, known[60:62], "source", "target")
    with monkeypatch.context() as outage:
        outage.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", "http://127.0.0.1:1")
        with pytest.raises(FeedUnreachableError):
            run()
    present = {row.period for row in target_rows(client)}
    assert present >= set(known[30:33])
    assert not present & set(known[60:62])
    assert {log(client)[period]["status"] for period in known[60:62]} == {"open"}
    assert run(run_id="after")["repaired"] == 2
    assert {row.period: row.numbers for row in target_rows(client)} == truth(feed)


def test_an_incident_is_reported_with_five_chapters_and_mailed(client: Client, feed: FeedState, stack: Any) -> None:
    inbox = stack.config.state / "smtp" / "maildir"
    before = len(mailbox.Maildir(inbox, create=True))
    hole = consecutive(feed, 16)
    remove(client, hole, "target")
    run(run_id="scheduled__incident")
    (kept,) = rows(client, f"SELECT * FROM {get_settings().table('monitor', 'incident_reports')}")
    chapters = [line for line in kept["report"].splitlines() if line.startswith("## ")]
    assert [chapter[3:5] for chapter in chapters] == ["1.", "2.", "3.", "4.", "5."]
    assert kept["repaired"] == 16
    assert f"| {hole[0]} | {hole[-1]} | 16 |" in kept["report"]
    gaps = [
        line.split("|") for line in kept["report"].splitlines() if " not synced |" in line or " not collected |" in line
    ]
    known = [period for period in truth(feed) if int(gaps[0][1]) <= period <= int(gaps[-1][2])]
    assert f"draws in the target | {len(known):,} | {len(known):,} |" in kept["report"]
    assert "repaired and verified" in kept["report"]
    messages = list(mailbox.Maildir(inbox))
    assert len(messages) == before + 1
    shapes = [[part.get_content_type() for part in mail.walk()] for mail in messages]
    assert ["multipart/alternative", "text/plain", "text/html"] in shapes


def test_the_report_of_a_healed_incident_compares_what_can_be_proved(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(run_id="first")  # names what nobody has
    truncate(client, ("monitor", "incident_reports"))
    known = settled(feed)
    first, second, under_way = known[30:34], known[60:64], known[45:49]
    remove(client, [*first, *second, *under_way], "target")
    drawn_now = ", ".join(map(str, under_way))
    client.query(
        f"UPDATE {get_settings().table('source', 'draws')} SET ingested_at = CURRENT_TIMESTAMP() "
        f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period IN ({drawn_now})"
    ).result()
    # As if they had been drawn a moment ago: a sync is on its way to them.
    with monkeypatch.context() as environment:
        environment.setenv("DRAWSGUARD_SYNC_LOOKBACK_MINUTES", str(3 * 24 * 60))
        get_settings.cache_clear()
        result = run(run_id="second")
    get_settings.cache_clear()
    assert result["repaired"] == 8, "what is under way is left to the sync"
    (kept,) = rows(client, f"SELECT report FROM {get_settings().table('monitor', 'incident_reports')}")
    (draws,) = [line for line in kept["report"].splitlines() if "draws in the target" in line]
    (missing,) = [line for line in kept["report"].splitlines() if "missing periods" in line]
    for line in (draws, missing):
        expected, actual = [cell.strip() for cell in line.split("|")[2:4]]
        assert expected == actual, line
    begin, end = map(int, re.search(r"periods (\d+) – (\d+)", kept["report"]).groups())  # type: ignore[union-attr]
    assert (begin, end) <= (first[0], second[-1])
    span = [period for period in truth(feed) if begin <= period <= end]
    assert f"| {len(span) - len(under_way)} |" in draws, "each draw that is not under way is compared"


def test_a_load_of_history_is_repaired_and_is_no_incident(client: Client, feed: FeedState) -> None:
    run(run_id="first")  # names what nobody has
    truncate(client, ("monitor", "incident_reports"))
    known = settled(feed)
    # A load that is half way: its draws are not synced yet, and between its newest one and the polled draws is a hole.
    loaded, ahead = known[5:40], known[40:60]
    remove(client, [*loaded, *ahead], "target")
    remove(client, ahead, "source")
    table = get_settings().table("source", "draws")
    client.query(
        f"UPDATE {table} SET ingested_at = CURRENT_TIMESTAMP() "
        f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period IN ({', '.join(map(str, loaded))})"
    ).result()
    assert run(run_id="load")["repaired"] >= len(loaded)
    assert rows(client, f"SELECT * FROM {get_settings().table('monitor', 'incident_reports')}") == []
    remove(client, loaded, "target")
    assert run(run_id="torn")["repaired"] == len(loaded)
    (kept,) = rows(client, f"SELECT repaired FROM {get_settings().table('monitor', 'incident_reports')}")
    assert kept["repaired"] == len(loaded), "what a sync has brought and is gone again is an incident"


def test_a_single_late_draw_is_no_incident(client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch) -> None:
    run(run_id="first")  # names what nobody has
    truncate(client, ("monitor", "incident_reports"))
    remove(client, settled(feed)[50:51], "target")
    run(run_id="second")
    assert rows(client, f"SELECT * FROM {get_settings().table('monitor', 'incident_reports')}") == []


def test_a_draw_under_way_is_not_missing(client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWSGUARD_SYNC_LOOKBACK_MINUTES", "180")  # the feed may stand in its maintenance
    get_settings.cache_clear()
    newest = max(truth(feed))
    remove(client, [newest], "target")
    table = get_settings().table("source", "draws")
    client.query(
        f"UPDATE {table} SET ingested_at = CURRENT_TIMESTAMP() "
        f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {newest}"
    ).result()
    assert newest not in {
        p for gap in run("manual")["gaps"] for p in range(gap["first_period"], gap["last_period"] + 1)
    }


def test_a_merge_without_effect_is_an_error(client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(client, settled(feed)[20:22], "target")
    monkeypatch.setattr(Repairer, "merge", lambda *_, **__: 0)
    with pytest.raises(RepairIncompleteError, match="2 draws are still missing"):
        run()


def test_half_a_range_is_refused_before_anything_runs() -> None:
    with pytest.raises(AirflowFailException, match="both 'from' and 'to'"):
        run("manual", **{"from": "2026-01-01T00:00:00+08:00"})


def test_a_gap_at_the_edge_of_the_range_is_seen(client: Client, feed: FeedState) -> None:
    hole = settled(feed)[30:40]
    remove(client, hole, "source", "target")
    times = {draw.period: draw.timestamp for draw in feed.simulator.truth(*span(feed))}
    inside = Window(times[hole[3]], times[hole[6]])
    gaps = find_gaps(StatementRunner(client, "test", "test"), inside, datetime.now(UTC))
    assert any(gap.first <= hole[0] and gap.last >= hole[-1] for gap in gaps)


# --- history ----------------------------------------------------------------------------------------
@pytest.fixture
def history(client: Client, feed: FeedState) -> dict[int, Draw]:
    """Five days of hourly draws two years ago, collected and synced; then a pause up to the first draw of the feed."""
    count, start = 120, feed.clock.now() - timedelta(days=730)
    first = min(truth(feed)) - count
    times = [start + timedelta(hours=index) for index in range(count)]
    draws = [Draw.derive(first + n, at, (n % 10, 2, 3), at) for n, at in enumerate(times)]
    collect(client, draws)
    sync(**{"from": start.isoformat(), "to": (start + timedelta(days=5)).isoformat()})
    run(run_id="names what nobody has")
    return {draw.period: draw for draw in draws}


def test_a_hole_two_years_old_is_found_and_healed_by_the_next_scheduled_run(
    client: Client, feed: FeedState, history: dict[int, Draw]
) -> None:
    expected = truth(feed) | {period: tuple(draw.numbers) for period, draw in history.items()}
    one_draw, the_oldest, two_whole_days, before_a_pause = slice(50, 51), slice(30), slice(30, 90), slice(119, 120)
    for number, lost in enumerate((one_draw, the_oldest, two_whole_days, before_a_pause, slice(None))):
        remove(client, list(history)[lost], "target")
        assert run(run_id=f"run-{number}")["repaired"] == len(list(history)[lost])
        found = target_rows(client)
        assert len(found) == len({row.period for row in found})
        assert {row.period: row.numbers for row in found} == expected


def test_a_history_without_a_hole_is_not_read_and_what_nobody_has_is_looked_for_less_and_less(
    client: Client, feed: FeedState, history: dict[int, Draw], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, compared = StatementRunner.rows, list[range]()

    def listens(self: StatementRunner, path: str, *args: Any, **values: Any) -> Any:
        if path == "repair/missing_periods.sql":
            compared.append(range(values["period_from"], values["period_until"]))
        return ask(self, path, *args, **values)

    def an_hour_passes(column: str, where: str = "TRUE") -> None:
        client.query(
            f"UPDATE {get_settings().table('monitor', 'repair_log')} "
            f"SET {column} = TIMESTAMP_SUB({column}, INTERVAL 1 HOUR) WHERE {where}"
        ).result()

    def read(run_id: str) -> set[int]:
        compared.clear()
        gaps = run(run_id=run_id)["gaps"]
        assert not {gap["first_period"] for gap in gaps} & set(history)
        return {period for period in history if any(period in periods for periods in compared)}

    monkeypatch.setattr(StatementRunner, "rows", listens)
    an_hour_passes("detected_at")  # what nobody has was asked for a moment ago
    assert read("healthy") == set()
    lost = list(history)[100]
    remove(client, [lost], "source", "target")
    assert lost in run(run_id="found")["nobody_has"]
    an_hour_passes("detected_at", f"period = {lost}")
    assert read("asked a moment ago") == set()
    an_hour_passes("asked_at", f"period = {lost}")
    assert lost in run(run_id="due again")["nobody_has"]


# --- reconcile --------------------------------------------------------------------------------------
OLD = datetime(2024, 3, 1, 12, tzinfo=UTC)


def old_draw(index: int, digit: int, corrected: timedelta | None = None) -> Draw:
    at = OLD + index * timedelta(seconds=210)
    return Draw.derive(1000 + index, at, (digit, 2, 3), at, at + corrected if corrected else None)


def reconcile(run_id: str = "reconcile") -> dict[str, int]:
    context = {"params": {"hours": 48}, "ti": SimpleNamespace(run_id=run_id, try_number=1)}
    return DrawReconcileOperator(task_id="reconcile").execute(context)


def test_late_and_corrected_draws_of_any_age_are_reconciled(client: Client, feed: FeedState) -> None:
    truncate(client, ("source", "draws"), ("target", "draws"))
    first = [old_draw(index, 1) for index in range(5)]
    collect(client, first)
    sync(**{"from": OLD.isoformat(), "to": (OLD + timedelta(days=1)).isoformat()})
    assert reconcile()["written"] == 0
    news = [old_draw(2, 7, corrected=timedelta(days=400)), old_draw(5, 4)]
    collect(client, news, ingested_at=datetime.now(UTC) - timedelta(minutes=30))
    assert reconcile("next") == {"differing": 0, "corrected": 2, "written": 2}
    assert set(target_rows(client)) == newest_versions([*first, *news])
    assert reconcile("third")["written"] == 0


def test_a_doubled_draw_that_nobody_collected_is_named_and_left(client: Client, feed: FeedState) -> None:
    period = settled(feed)[100]
    table = get_settings().table("target", "draws")
    client.query(
        f"INSERT INTO {table} SELECT * FROM {table} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {period}"
    ).result()
    remove(client, [period], "source")
    with pytest.raises(DrawsDifferError, match=f"duplicate: {period}"):
        reconcile()
    assert len([row for row in target_rows(client) if row.period == period]) == 2


def test_a_row_that_nobody_collected_fails_the_reconcile(client: Client, feed: FeedState) -> None:
    table = get_settings().table("target", "draws")
    period = settled(feed)[100]
    client.query(
        f"UPDATE {table} SET numbers = [9, 9, 9], sum_value = 27, updated_at = TIMESTAMP '2030-01-01' "
        f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {period}"
    ).result()
    with pytest.raises(DrawsDifferError, match="foreign"):
        reconcile()


def test_values_changed_behind_the_pipelines_back_are_repaired(client: Client, feed: FeedState) -> None:
    table = get_settings().table("target", "draws")
    period = settled(feed)[100]
    remove(client, settled(feed)[101:103], "target")
    client.query(
        f"UPDATE {table} SET created_at = TIMESTAMP '2000-01-01' "
        f"WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {period}"
    ).result()
    with pytest.raises(DrawsDifferError):
        sync_verify(client)
    assert reconcile()["written"] == 3
    assert {row.period: row.numbers for row in target_rows(client)} == truth(feed)


def sync_verify(client: Client) -> None:
    from drawsguard.draws.sync.target import TargetRepository

    now = datetime.now(UTC) + timedelta(minutes=5)
    warehouse = TargetRepository(client, dag_id="test", task_id="test")
    warehouse.verify(warehouse.plan_window(Window(now - timedelta(hours=48), now), now))


# --- faults -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["repair/open_periods.sql", "sync/merge_draws.sql", "repair/log_periods.sql"])
def test_a_repair_killed_at_any_step_is_finished_by_the_next(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    hole = settled(feed)[80:84]
    remove(client, hole, "target")
    remove(client, settled(feed)[90:92], "source", "target")
    execute = StatementRunner.run

    def dies(self: StatementRunner, path: str, *args: Any, **values: Any) -> Any:
        if path != step:
            return execute(self, path, *args, **values)
        if after:
            execute(self, path, *args, **values)
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(StatementRunner, "run", dies)
        with pytest.raises(SystemExit):
            run(run_id="killed")
    run(run_id="next")
    found = target_rows(client)
    assert len(found) == len({row.period for row in found})
    assert {row.period: row.numbers for row in found} == truth(feed)


@pytest.mark.parametrize("minutes", [-30, 30])
def test_a_clock_that_is_wrong_loses_and_doubles_nothing(
    client: Client, feed: FeedState, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    remove(client, settled(feed)[70:75], "target")
    remove(client, [max(truth(feed))], "target")
    skewed = timedelta(minutes=minutes)
    with monkeypatch.context() as patch:
        patch.setattr("hooks.draw_repairer.now", lambda: datetime.now(UTC) + skewed)
        run(run_id="skewed")
    newest = feed.clock.now() + timedelta(seconds=1)
    sync(**{"from": (newest - timedelta(hours=1)).isoformat(), "to": newest.isoformat()})
    found = target_rows(client)
    assert len(found) == len({row.period for row in found})
    assert {row.period: row.numbers for row in found} == truth(feed)
    # The views judge what was written by now: a row that is stamped later would be missing until then.
    table = get_settings().table("target", "draws")
    newest_stamp = next(iter(client.query(f"SELECT MAX(synced_at) FROM {table}").result()))[0]
    assert newest_stamp <= datetime.now(UTC) + timedelta(seconds=1)


def test_overlapping_syncs_and_repairs_double_nothing(client: Client, feed: FeedState) -> None:
    """What the pools prevent: four writers at once. One may be refused by the engine; none may double a draw."""
    remove(client, settled(feed)[100:140], "target")
    start, end = span(feed)
    refused: list[BaseException] = []

    def attempt(work: Any) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a refusal by the engine is an allowed outcome, a double is not
            refused.append(error)

    def again() -> None:
        sync(**{"from": start.isoformat(), "to": end.isoformat()})

    works = [lambda: run(run_id="one"), lambda: run(run_id="two"), again, again]
    threads = [threading.Thread(target=attempt, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) < len(works), refused
    run(run_id="after")
    found = target_rows(client)
    assert len(found) == len({row.period for row in found})
    assert {row.period: row.numbers for row in found} == truth(feed)
