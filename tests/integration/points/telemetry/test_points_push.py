"""The push on both real servers: every batch arrives once, whatever kills the push; nothing unpushed is truncated."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import MySQLdb
import pytest
from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pyhive.hive import Cursor as HiveCursor

from drawsguard.points.telemetry.config import Flow
from drawsguard.points.telemetry.day_plan import StatisticsWindow, window_of
from drawsguard.points.telemetry.evidence_repository import EvidenceLockedError, EvidenceRepository, TransferError
from drawsguard.points.telemetry.hive_source import Chunk, HiveSource, KeptFilesError
from drawsguard.points.telemetry.push_guard import Facts, batch_id_of
from drawsguard.refusal import RefusedError
from drawsguard.sql import render
from operators.points.telemetry.evidence_consolidate_operator import EvidenceConsolidateOperator
from operators.points.telemetry.evidence_pushed_operator import EvidencePushedOperator
from operators.points.telemetry.guarded_truncate_operator import GuardedTruncateOperator
from operators.points.telemetry.hive_build_operator import HiveBuildOperator
from operators.points.telemetry.hive_to_mysql_operator import HiveToMySqlStreamOperator
from operators.points.telemetry.push_guard_operator import PushGuardOperator
from tests.evidence_window import context
from tests.integration.points_evidence import create_stores, day, empty_mysql, hive, hive_file, mysql

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

WINDOW = window_of(day("2024-07-31"), 180)
NEXT = window_of(day("2024-08-01"), 180)
DAY = window_of(day("2024-07-31"), 1)
ROWS = [("2024-07-30 23:59:00", f"que_eid_{number}", number * 7) for number in range(1, 41)]
HALF = Chunk(Facts(1, 1, 1), b"que_eid_1\t2024-07-30 00:00:00\t1\n")


@pytest.fixture(scope="module", autouse=True)
def services(stack: Any) -> None:
    stack.require("hive", "mysql")
    create_stores()
    _fill_daily()  # another flow's rows, which no push of the window flow may touch


@pytest.fixture(autouse=True)
def stores(services: None) -> Iterator[None]:
    empty_mysql()
    _fill_base_evt("window")
    yield
    others = "SELECT oper_type FROM cma.{} WHERE flow = 'daily'"
    assert [hive(others.format(table)) for table in ("ads_evt_ops_status", "base_evt")] == [[("x",)], [("x",)]]


def _fill_daily() -> None:
    row = "('2024-07-30 00:01:00', 'x', 1)"
    hive(f"INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'daily') VALUES {row}")
    _fill_base_evt("daily")


def _fill_base_evt(flow: Flow) -> None:
    partition = f"flow = '{flow}', pt_dt = '2024-07-30'"
    hive(f"INSERT OVERWRITE TABLE cma.base_evt PARTITION ({partition}) VALUES ('2024-07-30 00:01:00', 'x', 1)")


def build(rows: list[tuple[str, str, int]] = ROWS, window: StatisticsWindow = WINDOW, flow: Flow = "window") -> None:
    values = ", ".join(f"('{ts}', '{name}', {eid})" for ts, name, eid in rows)
    hive(f"INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = '{flow}') VALUES {values}")
    hive_file("telemetry/push/stamp_build.sql", {"flow": flow, "first": str(window.first), "last": str(window.last)})


def push(
    window: StatisticsWindow = WINDOW,
    flow: Flow = "window",
    reason: str = "",
    user: str = "tester",
    cleared: int = 0,
    run_type: str = "manual",
) -> None:
    """Run the four tasks of a push as the DAG chains them."""
    batch: dict[str, Any] = {"flow": flow, "window": window.texts()}
    ran = context(window, user=user, cleared=cleared)
    ran["dag_run"].run_type = run_type
    PushGuardOperator(task_id="guard_before", size_overrule_reason=reason, **batch).execute(ran)
    HiveToMySqlStreamOperator(task_id="push", **batch).execute(ran)
    GuardedTruncateOperator(task_id="truncate", **batch).execute(ran)
    EvidenceConsolidateOperator(task_id="consolidate", **batch).execute(ran)


def refused(code: str, **arguments: Any) -> str:
    with pytest.raises((AirflowFailException, RefusedError), match=rf"P1 .*\[{code}\]") as caught:
        push(**arguments)
    logged = mysql("SELECT decision, code FROM rsp_datagovern.evidence_guard_log ORDER BY id DESC LIMIT 1")
    assert logged == [("refused", code)]
    return str(caught.value)


def stored(window: StatisticsWindow = WINDOW, flow: Flow = "window") -> set[tuple[str, str, int]]:
    rows = mysql(
        "SELECT CAST(oper_ts AS CHAR), oper_type, eid FROM rsp_datagovern.ads_evt_ops_status_ago WHERE batch_id = %s",
        [batch_id_of(flow, window)],
    )
    assert len(set(rows)) == len(rows)
    return set(rows)


def states() -> dict[str, str]:
    return dict(mysql("SELECT batch_id, state FROM rsp_datagovern.evidence_batch"))


def in_hive(table: str) -> int:
    return int(hive(f"SELECT COUNT(*) FROM cma.{table} WHERE flow = 'window'")[0][0])


def test_a_push_carries_every_row_and_empties_hive() -> None:
    build()
    push()
    assert stored() == set(ROWS)
    assert (in_hive("ads_evt_ops_status"), in_hive("base_evt")) == (0, 0)
    assert states() == {"window_2024-02-02_2024-07-30": "completed"}


def test_the_pieces_of_a_batch_follow_its_size() -> None:
    """A piece is what the push holds at once: its size must not grow with the batch."""
    for rows in (ROWS[:10], ROWS):
        build(rows)
        with closing(HiveServer2Hook().get_conn()) as connection:
            pieces = list(HiveSource(connection, "window").chunks(chunk_rows=5))
        assert len(rows) / 10 < len(pieces) <= len(rows) / 5
        assert sum(piece.facts.row_count for piece in pieces) == len(rows)


def test_a_second_push_is_refused_and_changes_nothing() -> None:
    build()
    push()
    refused("already_pushed")
    build()  # built again for the same window: the same content
    refused("already_pushed")
    assert stored() == set(ROWS)
    assert in_hive("ads_evt_ops_status") == len(ROWS)


def test_what_was_pushed_by_hand_is_skipped_by_the_scheduled_run() -> None:
    build()
    push()
    for run_type in ("scheduled", "asset_triggered"):
        with pytest.raises(AirflowSkipException, match="already_pushed"):
            push(user="", run_type=run_type)
    assert mysql("SELECT COUNT(*) FROM rsp_datagovern.evidence_guard_log WHERE decision = 'refused'") == [(0,)]
    assert stored() == set(ROWS)


def test_a_new_build_of_the_same_window_replaces_its_batch_only() -> None:
    build(ROWS[:38])
    push()
    build(ROWS, NEXT)
    push(NEXT)
    late = [*ROWS[:37], ("2024-07-30 12:00:00", "upd_tag_9", 5)]
    build(late)
    push()
    assert stored() == set(late)
    assert stored(NEXT) == set(ROWS)


def as_owner(statement: str) -> None:
    """Change a table as a migration would: the user of the run time may not."""
    with closing(MySqlHook("mysql_schema_governance").get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)


def test_the_real_tables_have_the_columns_the_guard_expects_and_others_are_refused() -> None:
    build()
    as_owner("ALTER TABLE rsp_datagovern.ads_evt_ops_status_ago ADD COLUMN extra INT NULL")
    try:
        assert "eid bigint, extra int" in refused("schema_differs")
    finally:
        as_owner("ALTER TABLE rsp_datagovern.ads_evt_ops_status_ago DROP COLUMN extra")
    push()


def test_an_empty_table_a_wrong_window_and_a_changed_table_are_refused() -> None:
    build()
    hive_file("telemetry/push/empty_ads_evt_ops_status.sql", {"flow": "window"})
    assert "Run points_hive_aggregation for run_date 2024-07-31" in refused("empty_source")
    build()
    assert "this run pushes 2024-02-03 to 2024-07-31" in refused("wrong_window", window=NEXT)
    hive(
        "INSERT INTO cma.ads_evt_ops_status PARTITION (flow = 'window') VALUES ('2024-07-30 00:00:00', 'que_eid_99', 1)"
    )
    refused("changed_since_build")
    assert stored() == set()
    assert in_hive("ads_evt_ops_status") == len(ROWS) + 1


def test_tables_that_keep_their_files_are_refused_before_anything_is_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark does not say which tables are external; tests/sql/hive has the rule itself."""
    build()

    def refuse(self: HiveSource) -> None:
        del self
        raise KeptFilesError("Hive keeps the files of cma.base_evt")

    monkeypatch.setattr(HiveSource, "refuse_kept_files", refuse)
    assert "cma.base_evt" in refused("keeps_files")
    assert stored() == set()


def test_sizes_are_refused_until_an_operator_gives_a_reason_that_is_recorded() -> None:
    build()
    push()
    build(ROWS[:10], NEXT)
    refused("shrunk", window=NEXT)
    for reason, user in (("too short", "alice"), ("nobody answers for this", "")):
        refused("shrunk", window=NEXT, reason=reason, user=user)
    # Whoever may clear a run of alice's may not overrule anything in her name.
    assert "once" in refused("shrunk", window=NEXT, reason="thirty points were retired", user="alice", cleared=1)
    push(NEXT, reason="thirty points were retired", user="alice")
    logged = mysql(
        "SELECT decision, code, overrule_reason, started_by FROM rsp_datagovern.evidence_guard_log "
        "WHERE overrule_reason IS NOT NULL"
    )
    assert logged == [("push", "shrunk", "thirty points were retired", "alice")]
    assert stored(NEXT) == set(ROWS[:10])


def test_a_guard_whose_task_was_set_to_success_by_hand_lets_nothing_through() -> None:
    """Whoever may clear tasks of the push may set their state, and may not overrule its limits."""
    build()
    push()
    build(ROWS[:10], NEXT)
    ran = context(NEXT, user="requester")
    load = HiveToMySqlStreamOperator(task_id="push", flow="window", window=NEXT.texts())
    with pytest.raises(RefusedError, match=r"newest decision: none.*Nothing was pushed"):
        load.execute(ran)
    refused("shrunk", window=NEXT)
    with pytest.raises(RefusedError, match="newest decision: refused"):
        load.execute(ran)
    # A decision of the run before it was cleared is none of this one.
    push(NEXT, reason="thirty points were retired", user="alice")
    ran["dag_run"].start_date = datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(RefusedError, match="newest decision: none"):
        load.execute(ran)


def test_rows_that_somebody_changed_stop_the_next_push_until_the_batch_is_withdrawn() -> None:
    build()
    push()
    mysql("UPDATE rsp_datagovern.ads_evt_ops_status_ago SET eid = eid + 1 WHERE oper_type = 'que_eid_7'")
    build(ROWS, NEXT)
    assert "withdraw_batch.sql" in refused("mysql_changed", window=NEXT)
    assert in_hive("ads_evt_ops_status") == len(ROWS)
    with closing(MySqlHook().get_conn()) as connection, closing(connection.cursor()) as cursor:
        for statement in render("mysql/telemetry/push/withdraw_batch.sql").split(";"):
            if statement.strip():
                cursor.execute(statement, {"batch_id": batch_id_of("window", WINDOW)})
        connection.commit()
    push(NEXT)
    assert stored() == set()
    assert stored(NEXT) == set(ROWS)


def test_hive_is_kept_when_it_changed_between_push_and_truncate() -> None:
    build()
    batch: dict[str, Any] = {"flow": "window", "window": WINDOW.texts()}
    PushGuardOperator(task_id="guard_before", **batch).execute(context(WINDOW))
    HiveToMySqlStreamOperator(task_id="push", **batch).execute(context(WINDOW))
    build([*ROWS, ("2024-07-30 00:00:00", "que_eid_77", 1)])
    with pytest.raises(AirflowFailException, match="checksum_differs"):
        GuardedTruncateOperator(task_id="truncate", **batch).execute(context(WINDOW))
    assert in_hive("ads_evt_ops_status") == len(ROWS) + 1
    assert in_hive("base_evt") == 1


@pytest.mark.parametrize("before", ["push", "truncate"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:20]], ids=["the same rows", "other rows"])
def test_a_backfill_between_two_steps_is_neither_published_nor_emptied(
    before: str, rows: list[tuple[str, str, int]]
) -> None:
    """The evidence of another window under this one's name would make points that are used look unused."""
    build()
    batch: dict[str, Any] = {"flow": "window", "window": WINDOW.texts()}
    ran = context(WINDOW)
    PushGuardOperator(task_id="guard_before", **batch).execute(ran)
    load = HiveToMySqlStreamOperator(task_id="push", **batch)
    if before == "truncate":
        load.execute(ran)
    build(rows, NEXT)
    windows = r"\[wrong_window\].*2024-02-03 to 2024-07-31.*2024-02-02 to 2024-07-30.*[Nn]othing was truncated"
    if before == "push":
        with pytest.raises(RefusedError, match=windows):
            load.execute(ran)
    with pytest.raises(AirflowFailException, match=windows if before == "truncate" else "not_published"):
        GuardedTruncateOperator(task_id="truncate", **batch).execute(ran)
    assert stored() == (set(ROWS) if before == "truncate" else set())
    assert (in_hive("ads_evt_ops_status"), in_hive("base_evt")) == (len(rows), 1)
    push(NEXT, reason="the other window has fewer rows", user="alice")
    assert stored(NEXT) == set(rows)


def test_a_backfill_while_rows_stream_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    stage = EvidenceRepository.stage

    def rebuilt_meanwhile(self: EvidenceRepository, chunks: Any) -> Facts:
        staged = stage(self, chunks)
        build(ROWS, NEXT)
        return staged

    monkeypatch.setattr(EvidenceRepository, "stage", rebuilt_meanwhile)
    refused("wrong_window")
    assert stored() == set()
    assert (in_hive("ads_evt_ops_status"), in_hive("base_evt")) == (len(ROWS), 1)


class BuildBrokeOffError(Exception):
    """What a build meets half way."""


@pytest.mark.parametrize("statement", ["ads_evt_ops_status", "ads_evt_ops_build"])
def test_a_build_that_broke_off_carries_no_stamp_until_it_is_built_again(
    statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    hive("INSERT OVERWRITE TABLE cma.base_evt_day PARTITION (pt_dt = '2024-07-30') "
         "VALUES ('2024-07-30 00:01:00', 'que_eid_5', 3)")  # fmt: skip
    operator = HiveBuildOperator(
        task_id="ads_evt_ops_status", flow="window", window=NEXT.texts(), parameters={},
        file="telemetry/window/ads_evt_ops_status.sql",
    )  # fmt: skip
    execute = HiveCursor.execute

    def breaking(self: HiveCursor, operation: str, *rest: Any, **how: Any) -> None:
        if f"INSERT OVERWRITE TABLE cma.{statement}" in operation and rest[0]["first"]:
            raise BuildBrokeOffError
        execute(self, operation, *rest, **how)

    with monkeypatch.context() as patch:
        patch.setattr(HiveCursor, "execute", breaking)
        with pytest.raises(BuildBrokeOffError):
            operator.execute(context(NEXT))
    assert "carries no build stamp" in refused("wrong_window")
    assert "carries no build stamp" in refused("wrong_window", window=NEXT)
    assert operator.execute(context(NEXT)) == {
        "flow": "window", "run_date": "2024-08-01", "first": "2024-02-03", "last": "2024-07-31",
    }  # fmt: skip
    push(NEXT)
    assert stored(NEXT) == {("2024-07-30 00:01:00", "que_eid_5", 3)}


def test_a_day_that_arrives_between_build_and_push_is_no_day_of_the_batch() -> None:
    def check(*days: tuple[str, int]) -> None:
        """Record what a check of the window found, as the build's own run or a later one does."""
        mysql("DELETE FROM rsp_datagovern.evidence_day")
        for found, minutes in days:
            mysql("INSERT INTO rsp_datagovern.evidence_day VALUES ('window', %s, %s, 1, 1, 0)", [found, minutes])

    def kept() -> list[tuple[str, int]]:
        return mysql("SELECT CAST(pt_dt AS CHAR), minutes FROM rsp_datagovern.evidence_batch_day ORDER BY pt_dt")

    hive("INSERT OVERWRITE TABLE cma.base_evt_day PARTITION (pt_dt = '2024-07-30') "
         "VALUES ('2024-07-30 00:01:00', 'que_eid_5', 3)")  # fmt: skip
    check(("2024-07-28", 1440), ("2024-07-30", 1436))
    HiveBuildOperator(
        task_id="ads_evt_ops_status", flow="window", window=WINDOW.texts(), parameters={},
        file="telemetry/window/ads_evt_ops_status.sql",
    ).execute(context(WINDOW))  # fmt: skip
    check(("2024-07-28", 1440), ("2024-07-29", 1440), ("2024-07-30", 1440))
    push(reason="one metric on purpose")
    assert kept() == [("2024-07-28", 1440), ("2024-07-30", 1436)]


def test_a_build_that_recorded_no_days_rests_on_none() -> None:
    mysql("INSERT INTO rsp_datagovern.evidence_day VALUES ('window', '2024-07-30', 1440, 1, 1, 0)")
    build()
    push()
    assert mysql("SELECT COUNT(*) FROM rsp_datagovern.evidence_batch_day") == [(0,)]


def test_build_and_push_of_a_flow_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    monkeypatch.setattr(EvidenceRepository, "LOCK_WAIT_SECONDS", 0)
    with closing(MySqlHook().get_conn()) as connection, EvidenceRepository(connection).locked("window"):
        with pytest.raises(EvidenceLockedError, match="Nothing was changed"):
            push()
        with pytest.raises(EvidenceLockedError, match="Nothing was changed"):
            HiveBuildOperator(
                task_id="build", flow="window", window=WINDOW.texts(), file="telemetry/window/ads_evt_ops_status.sql"
            ).execute(context(WINDOW))
    push()
    assert stored() == set(ROWS)


def test_a_lock_that_was_lost_empties_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL drops it with the connection, and somebody else may have built meanwhile."""
    build()
    monkeypatch.setattr(EvidenceRepository, "holds", lambda *_: False)
    with pytest.raises(EvidenceLockedError, match="was lost"):
        push()
    assert in_hive("ads_evt_ops_status") == len(ROWS)


def test_rows_lost_on_the_way_publish_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    chunks = HiveSource.chunks

    def without_first_rows(self: HiveSource, chunk_rows: int) -> Iterator[Chunk]:
        for chunk in chunks(self, chunk_rows):
            yield chunk._replace(lines=chunk.lines.split(b"\n", 1)[1])

    monkeypatch.setattr(HiveSource, "chunks", without_first_rows)
    with pytest.raises(TransferError, match="nothing was published"):
        push()
    assert stored() == set()
    assert states() == {}


def test_a_source_that_fails_half_way_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    build()

    def broken(self: HiveSource, chunk_rows: int) -> Iterator[Chunk]:
        del self, chunk_rows
        yield HALF
        raise ConnectionResetError("HiveServer2 went away")

    monkeypatch.setattr(HiveSource, "chunks", broken)
    with pytest.raises(ConnectionResetError, match="HiveServer2 went away"):
        push()
    assert stored() == set()


def test_a_slow_hive_does_not_make_mysql_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    mysql_timeout = 1  # of the server's 30 s, so that the test need not wait for them
    build()
    chunks = HiveSource.chunks
    get_conn = MySqlHook.get_conn

    def slow(self: HiveSource, chunk_rows: int) -> Iterator[Chunk]:
        time.sleep(2 * mysql_timeout)
        yield from chunks(self, chunk_rows)

    def impatient(self: MySqlHook) -> Any:
        connection = get_conn(self)
        connection.query(f"SET SESSION net_read_timeout = {mysql_timeout}")
        return connection

    monkeypatch.setattr(HiveSource, "chunks", slow)
    monkeypatch.setattr(MySqlHook, "get_conn", impatient)
    push()
    assert stored() == set(ROWS)


def test_a_server_that_refuses_local_files_is_named() -> None:
    hook = MySqlHook()
    # Refused by the client here, as the server would: switching it off there needs an administrator.
    config = hook._get_conn_config_mysql_client(hook.get_connection("mysql_default")) | {"local_infile": 0}
    with (
        closing(MySQLdb.connect(**config)) as connection,
        pytest.raises(TransferError, match="local_infile = ON"),
    ):
        EvidenceRepository(connection).stage(iter([b"que_eid_1\t2024-07-30 00:00:00\t1\n"] * 200_000))


# --- killed, and run again ------------------------------------------------------------------------
def _kill(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HiveToMySqlStreamOperator, "execute", _kill)


def _while_rows_stream(patch: pytest.MonkeyPatch) -> None:
    def half(self: HiveSource, chunk_rows: int) -> Iterator[Chunk]:
        del self, chunk_rows
        yield HALF
        _kill()

    patch.setattr(HiveSource, "chunks", half)


def _before_the_commit(patch: pytest.MonkeyPatch) -> None:
    execute = EvidenceRepository._execute

    def record_then_die(self: EvidenceRepository, file: str, values: Any = None) -> int:
        done = execute(self, file, values)
        if file == "record_batch.sql":
            _kill()
        return done

    patch.setattr(EvidenceRepository, "_execute", record_then_die)


def _after_the_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GuardedTruncateOperator, "execute", _kill)


def _before_the_truncate(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HiveSource, "truncate", _kill)


def _between_the_truncates(patch: pytest.MonkeyPatch) -> None:
    def first_only(self: HiveSource) -> None:
        hive_file("telemetry/push/empty_ads_evt_ops_status.sql", {"flow": "window"})
        _kill()

    patch.setattr(HiveSource, "truncate", first_only)


def _before_completion_is_noted(patch: pytest.MonkeyPatch) -> None:
    set_state = EvidenceRepository.set_state

    def die_at_the_end(self: EvidenceRepository, batch_id: str, state: Any) -> None:
        if state == "completed":
            _kill()
        set_state(self, batch_id, state)

    patch.setattr(EvidenceRepository, "set_state", die_at_the_end)


def _before_consolidation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EvidenceConsolidateOperator, "execute", _kill)


def _push_in_child(sabotage: Callable[[pytest.MonkeyPatch], None]) -> int:
    """Run the push in a process of its own, which the sabotage kills, and return the signal that ended it."""
    child = os.fork()
    if child == 0:
        sabotage(pytest.MonkeyPatch())
        try:
            push()
        finally:
            os._exit(1)  # not reached when the sabotage works
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


@pytest.mark.parametrize(
    "sabotage",
    [_before_anything, _while_rows_stream, _before_the_commit, _after_the_commit, _before_the_truncate,
     _between_the_truncates, _before_completion_is_noted],
)  # fmt: skip
def test_killed_at_any_point_and_run_again_the_batch_is_there_once(sabotage: Callable[[Any], None]) -> None:
    build()
    assert _push_in_child(sabotage) == signal.SIGKILL
    if "completed" not in states().values() and in_hive("ads_evt_ops_status") == 0:
        assert stored() == set(ROWS), "Hive was emptied although MySQL does not hold the batch"
    push()
    assert stored() == set(ROWS)
    assert mysql("SELECT COUNT(*) FROM rsp_datagovern.ads_evt_ops_status_ago") == [(len(ROWS),)]
    assert (in_hive("ads_evt_ops_status"), in_hive("base_evt")) == (0, 0)
    assert set(states().values()) == {"completed"}


def test_killed_after_everything_the_next_run_is_refused_and_changes_nothing() -> None:
    build()
    assert _push_in_child(_before_consolidation) == signal.SIGKILL
    refused("already_pushed")
    assert stored() == set(ROWS)


# --- the daily flow: consolidation ----------------------------------------------------------------
DAILY = [
    ("2024-07-30 10:00:00", "que_eid_1", 1), ("2024-07-30 11:00:00", "upd_eid_2", 0),
    ("2024-07-30 23:59:00", "checkCount", 1440),
]  # fmt: skip


def accumulated() -> dict[str, int]:
    return dict(mysql("SELECT oper_type, eid FROM rsp_datagovern.ads_evt_ops_status"))


@pytest.fixture
def daily(stores: None) -> Iterator[None]:
    """The daily flow is pushed in these tests: what `stores` keeps for the others is put back."""
    yield
    _fill_daily()


def consolidate(window: StatisticsWindow = DAY) -> dict[str, Any]:
    operator = EvidenceConsolidateOperator(task_id="consolidate", flow="daily", window=window.texts())
    return operator.execute(context(window))


@pytest.mark.usefixtures("daily")
def test_a_day_is_added_once_however_often_it_runs() -> None:
    build(DAILY, DAY, "daily")
    push(DAY, "daily")
    assert accumulated() == {"que_eid_1": 1, "upd_eid_2": 0}
    assert consolidate()["added"] is False
    assert accumulated() == {"que_eid_1": 1, "upd_eid_2": 0}
    after = window_of(day("2024-08-01"), 1)
    build([("2024-07-31 09:00:00", "que_eid_1", 1), ("2024-07-31 23:59:00", "checkCount", 1440)], after, "daily")
    push(after, "daily", reason="half of the metrics are gone on purpose")
    assert accumulated() == {"que_eid_1": 2, "upd_eid_2": 0}
    last = mysql("SELECT CAST(oper_ts AS CHAR) FROM rsp_datagovern.ads_evt_ops_status WHERE oper_type = 'que_eid_1'")
    assert last == [("2024-07-31 09:00:00",)]


@pytest.mark.usefixtures("daily")
def test_the_day_is_delivered_when_every_flow_is_there_whichever_runs_have_pushed_it() -> None:
    def pushed(*flows: Flow) -> list[str]:
        ran: Any = {
            "params": {"run_date": "2024-07-31"},
            "dag_run": SimpleNamespace(run_type="manual", run_after=datetime(2026, 1, 1, tzinfo=UTC)),
        }
        return EvidencePushedOperator(task_id="pushed", flows=flows).execute(ran)

    window_batch, day_batch = batch_id_of("window", WINDOW), batch_id_of("daily", DAY)
    build()
    build(DAILY, DAY, "daily")
    with pytest.raises(AirflowSkipException, match=f"{window_batch}, {day_batch}"):
        pushed("window", "daily")
    push(DAY, "daily")
    assert pushed("daily") == [day_batch]
    with pytest.raises(AirflowSkipException, match=f"counted: {window_batch}\\."):
        pushed("window", "daily")
    push()
    assert len(pushed("window", "daily")) == 2
    mysql("UPDATE rsp_datagovern.evidence_batch SET consolidated_at = NULL WHERE batch_id = %s", [day_batch])
    with pytest.raises(AirflowSkipException, match=day_batch):
        pushed("window", "daily")


@pytest.mark.usefixtures("daily")
def test_a_day_whose_count_was_missed_is_counted_when_the_run_is_cleared_from_the_guard_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build(DAILY, DAY, "daily")

    def fail(*_: Any) -> None:
        raise ConnectionError("MySQL is restarted")

    with monkeypatch.context() as broken:
        broken.setattr(EvidenceConsolidateOperator, "execute", fail)
        with pytest.raises(ConnectionError):
            push(DAY, "daily")
    assert accumulated() == {}
    push(DAY, "daily", cleared=1)
    assert accumulated() == {"que_eid_1": 1, "upd_eid_2": 0}
    with pytest.raises((AirflowFailException, RefusedError), match="already_pushed"):
        push(DAY, "daily", cleared=2)
    assert accumulated() == {"que_eid_1": 1, "upd_eid_2": 0}


@pytest.mark.usefixtures("daily")
def test_a_day_that_is_pushed_anew_with_other_rows_still_counts_once() -> None:
    build(DAILY, DAY, "daily")
    push(DAY, "daily")
    build([("2024-07-30 10:00:00", "upd_eid_2", 1), *DAILY[:1], *DAILY[2:]], DAY, "daily")
    push(DAY, "daily")
    assert accumulated() == {"que_eid_1": 1, "upd_eid_2": 1}


@pytest.mark.usefixtures("daily")
def test_a_day_with_too_few_minutes_is_not_added() -> None:
    build([*DAILY[:2], ("2024-07-30 23:59:00", "checkCount", 700)], DAY, "daily")
    with pytest.raises(AirflowFailException, match="has checkCount 700; a full day has 1435 to 1440 minutes"):
        push(DAY, "daily")
    assert accumulated() == {}
    assert stored(DAY, "daily")


def test_windows_overlap_and_are_never_added_up() -> None:
    build()
    push()
    assert accumulated() == {}


def test_batches_older_than_a_week_are_purged_and_the_pushed_one_stays() -> None:
    build()
    push()
    mysql("UPDATE rsp_datagovern.evidence_batch SET published_at = published_at - INTERVAL 8 DAY")
    build(ROWS, NEXT)
    push(NEXT)
    assert stored() == set()
    assert stored(NEXT) == set(ROWS)
    purged = mysql("SELECT batch_id FROM rsp_datagovern.evidence_batch WHERE purged_at IS NOT NULL")
    assert purged == [("window_2024-02-02_2024-07-30",)]
    build(ROWS, window_of(day("2024-08-02"), 180))
    push(window_of(day("2024-08-02"), 180))  # a purged batch is no change by someone else
