"""Genuine Hive runs every statement of both flows, as strictly as a hardened site, and the results are the truth."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyhive.hive
import pytest
import sqlparse

from drawsguard import sql
from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import window_of
from drawsguard.points.telemetry.day_quality import DayQuality
from drawsguard.points.telemetry.day_steps import day_steps
from drawsguard.points.telemetry.hive_source import (
    BUILT_TABLES,
    NO_WINDOW,
    HiveSource,
    KeptFilesError,
    fetch,
    refuse_kept_files,
    statements,
)
from drawsguard.points.telemetry.oper_type import hive_pattern
from drawsguard.points.telemetry.push_guard import EMPTY, SOURCE_COLUMNS, Facts
from drawsguard.preflight import hive as preflight_hive
from drawsguard.preflight.model import Finding, Status
from drawsguard.settings import REPOSITORY, get_settings
from local.cma.deliver import LATE_COMMIT, register_history, write_daily, write_history
from local.cma.telemetry import DayTruth, window_truth
from operators.points.telemetry.hive_day_plan_operator import HiveDayPlanOperator
from operators.points.telemetry.hive_days_operator import HiveDaysOperator
from operators.points.telemetry.hive_expire_operator import HiveExpireOperator
from operators.points.telemetry.hive_statement_operator import HiveStatementOperator
from operators.points.telemetry.statistics_window_operator import StatisticsWindowOperator
from tests.evidence_window import (
    COUNTED_LINES,
    DAYS,
    LAST,
    LATE_DAY,
    LOST_DAY,
    NEXT_RUN_DATE,
    PLAN,
    REJECTED_LINES,
    RUN_DATE,
    WINDOW_DAYS,
    context,
    counted_lines,
    rejected_lines,
    write_feed_lines,
)
from tests.executed_statements import bare
from tests.sql.hive.genuine_hive import Connection, Cursor, Judge

FOLDER = REPOSITORY / "include" / "sql" / "hive"


class Executed:
    """Which files Hive has executed: those of which all statements of one rendering were taken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._rendered: dict[str, list[set[str]]] = {}
        self._taken: set[str] = set()
        render_from, execute = sql.render_from, Cursor.execute

        def rendering(root: Path, path: str, /, **identifiers: Any) -> str:
            text = render_from(root, path, **identifiers)
            self._rendered.setdefault(path, []).append({bare(part) for part in sqlparse.split(text)} - {""})
            return text

        def executing(cursor: Cursor, operation: str, parameters: Any = None) -> None:
            execute(cursor, operation, parameters)
            self._taken.add(bare(operation))

        patch.setattr(sql, "render_from", rendering)
        patch.setattr(Cursor, "execute", executing)

    @property
    def files(self) -> set[str]:
        return {path for path, texts in self._rendered.items() if any(text <= self._taken for text in texts)}


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    get_settings.cache_clear()


@pytest.fixture(scope="module", params=["managed", "external"])
def kind(request: pytest.FixtureRequest) -> str:
    """What CREATE TABLE makes: a managed table before Hive 4, an external one from then on."""
    return str(request.param)


@pytest.fixture(scope="module")
def executed(patch: pytest.MonkeyPatch) -> Executed:
    return Executed(patch)


@pytest.fixture(scope="module")
def connected(judge: Judge, patch: pytest.MonkeyPatch, executed: Executed) -> Iterator[Connection]:
    """A connection of the tests' own. Hive stands in the place of the HiveServer2 that Airflow's hook connects to."""
    del executed  # it listens from the first statement on
    patch.setattr(pyhive.hive, "connect", judge.connect)
    patch.setenv("AIRFLOW_CONN_HIVESERVER2_DEFAULT", "hiveserver2://nobody@127.0.0.1:1/default")
    patch.setenv("DRAWSGUARD_POINTS_WINDOW_DAYS", str(WINDOW_DAYS))
    with closing(judge.connect()) as connection:
        yield connection


@pytest.fixture(scope="module")
def hive(
    connected: Connection, kind: str, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Connection:
    """The connection, with empty tables of the kind and a feed of their own."""
    patch.setenv("DRAWSGUARD_POINTS_FEED_ROOT", f"file:{tmp_path_factory.mktemp('cma')}/feed")
    get_settings.cache_clear()
    create_tables(connected, external=kind == "external")
    return connected


def rows(hive: Connection, query: str) -> list[tuple[Any, ...]]:
    with closing(hive.cursor()) as cursor:
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []


def create_tables(hive: Connection, *, external: bool = False) -> None:
    """Create the tables again; ``external`` makes of each CREATE TABLE what Hive 4's metastore makes of it."""
    with closing(hive.cursor()) as cursor:
        cursor.execute("DROP DATABASE IF EXISTS cma CASCADE")
        for statement in statements("schema/points_tables.sql"):
            cursor.execute(statement.replace("CREATE TABLE", "CREATE EXTERNAL TABLE") if external else statement)


def build_window(run_date: date) -> list[list[str]]:
    """Run the operators of points_hive_aggregation in their order; return the days that were built."""
    window = window_of(run_date, WINDOW_DAYS)
    days = HiveDayPlanOperator(task_id="plan", window=window.texts()).execute(context(window))
    ran, span = context(window), {"first": str(window.first), "last": str(window.last)}
    for some in days:
        for step in day_steps(points_config()):
            HiveDaysOperator(task_id=step.name, conn_id="hiveserver2_default", step=step, days=some).execute(ran)
    run_file("push/stamp_build", ran, {"flow": "window", **NO_WINDOW})
    run_file("window/ads_evt_ops_status", ran, span)
    run_file("push/stamp_build", ran, span | {"flow": "window"})
    return days


def build_daily() -> None:
    """Run the statements of points_hive_daily in their order."""
    ran = context(window_of(RUN_DATE, 1))
    texts = StatisticsWindowOperator(task_id="window", flow="daily").execute(ran)
    config = points_config()
    rules = {"pattern": hive_pattern(config.oper_type_pattern), "max_count": config.telemetry.largest_count}
    for name in ("src_evt", "base_evt", "evt_day_quality", "ads_evt_ops_status"):
        run_file(f"daily/{name}", ran, texts | rules)
    run_file("push/stamp_build", ran, texts | {"flow": "daily"})


def run_file(name: str, ran: Any, values: dict[str, Any]) -> None:
    HiveStatementOperator(task_id="statement", file=f"telemetry/{name}.sql", parameters=values).execute(ran)


def window_in(hive: Connection) -> dict[str, tuple[str, int]]:
    found = rows(hive, "SELECT oper_type, oper_ts, eid FROM cma.ads_evt_ops_status WHERE flow = 'window'")
    assert len({name for name, *_ in found}) == len(found)
    return {name: (last, eid) for name, last, eid in found}


def quality_in(hive: Connection, flow: str) -> dict[str, tuple[int, ...]]:
    span = {"flow": flow, "first": "2024-01-01", "last": "2024-12-31"}
    days = [DayQuality(*row) for row in fetch(hive, "telemetry/window/quality_of_days.sql", span)]
    return {d.day: (d.raw_rows, d.evt_rows, d.base_rows, d.rejected_rows, d.ts_rows, d.minutes) for d in days}


def quality_of(truth: DayTruth) -> tuple[int, ...]:
    return (truth.raw_rows, truth.evt_rows, truth.base_rows, truth.rejected_rows, truth.ts_rows, truth.minutes)


def rejected_in(hive: Connection, flow: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    span = {"flow": flow, "first": "2024-01-01", "last": "2024-12-31"}
    for pt_dt, reason, copies in fetch(hive, "telemetry/window/rejected_by_reason.sql", span):
        found.setdefault(pt_dt, {})[reason] = copies
    return found


def deliver(hive: Connection, root: Path, days: list[date], **how: Any) -> dict[date, DayTruth]:
    truths = write_history(PLAN, days, root, **how)
    register_history(hive, root, days, spark=False)
    return truths


@pytest.fixture(scope="module")
def history(hive: Connection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the raw history, which no partition is in yet."""
    root = tmp_path_factory.mktemp("cma_hudi")
    register_history(hive, root, [], replace=True, spark=False)
    return root


@pytest.fixture(scope="module")
def first(hive: Connection, history: Path) -> dict[date, DayTruth]:
    """The first window; the late day's records have not all arrived."""
    truths = deliver(hive, history, [d for d in DAYS if d != LATE_DAY])
    truths |= deliver(hive, history, [LATE_DAY], with_late=False)
    assert build_window(RUN_DATE) == [[str(d) for d in DAYS]]
    return truths


def test_the_window_is_the_truth(hive: Connection, first: dict[date, DayTruth]) -> None:
    assert window_in(hive) == window_truth(first.values())
    assert rejected_in(hive, "window") == {str(d): truth.rejected for d, truth in first.items()}
    assert quality_in(hive, "window") == {str(d): quality_of(truth) for d, truth in first.items()}


@pytest.fixture(scope="module")
def second(hive: Connection, history: Path, first: dict[date, DayTruth]) -> dict[date, DayTruth]:
    """A day later: a new day, the late day's second delivery, and a day whose source is gone."""
    truths = deliver(hive, history, [RUN_DATE]) | deliver(hive, history, [LATE_DAY], commit=LATE_COMMIT)
    rows(hive, f"ALTER TABLE datalake_platform.cma_hudi DROP PARTITION (pt_dt = '{LOST_DAY}')")
    assert build_window(NEXT_RUN_DATE) == [[str(LATE_DAY), str(LOST_DAY), str(RUN_DATE)]]
    return {d: truth for d, truth in (first | truths).items() if d not in (DAYS[0], LOST_DAY)}


def test_days_are_replaced_and_not_added(hive: Connection, second: dict[date, DayTruth]) -> None:
    assert window_in(hive) == window_truth(second.values())
    found = quality_in(hive, "window")
    assert {d: found.get(str(d)) for d in [*second, LOST_DAY]} == {
        **{d: quality_of(truth) for d, truth in second.items()},
        LOST_DAY: None,
    }


@pytest.fixture(scope="module")
def expired(hive: Connection, second: dict[date, DayTruth]) -> list[str]:
    del second
    row = "('2020-01-01 00:00:00', 'x', 1)"
    rows(hive, f"INSERT OVERWRITE TABLE cma.base_evt_ts PARTITION (pt_dt = '2020-01-01') VALUES {row}")
    window = window_of(NEXT_RUN_DATE, WINDOW_DAYS)
    return HiveExpireOperator(task_id="expire", window=window.texts()).execute(context(window))


def test_minutes_before_the_window_expire(hive: Connection, expired: list[str]) -> None:
    assert expired == ["2020-01-01"]
    left = [partition for (partition,) in rows(hive, "SHOW PARTITIONS cma.base_evt_ts")]
    assert left == [f"pt_dt={d}" for d in [*DAYS, RUN_DATE] if d != LOST_DAY]


@pytest.fixture(scope="module")
def daily(hive: Connection) -> DayTruth:
    """The legacy flow's day, built twice: a re-run changes nothing."""
    truth = write_daily(PLAN, LAST, feed_folder())
    for _ in range(2):
        build_daily()
        daily_is_the_truth(hive, truth)
    return truth


def test_the_daily_flow_writes_nothing_into_the_feed(daily: DayTruth) -> None:
    assert daily.rejected_rows > 0
    assert content_of(feed_folder()) == ["2024", "2024/7", "2024/7/29", "2024/7/29/part-00000.json"]


@pytest.fixture(scope="module")
def pushed(hive: Connection, second: dict[date, DayTruth], daily: DayTruth) -> list[Facts]:
    """What the push reads of the window flow, before and after it emptied Hive."""
    del daily  # its rows are there, and stay
    source = HiveSource(hive, "window")
    expected = window_truth(second.values())
    checksum = sum(zlib.crc32(f"{name}|{last}|{eid}".encode()) for name, (last, eid) in expected.items())
    facts = Facts(len(expected), sum(eid for _, eid in expected.values()), checksum)
    before = source.facts()
    assert before == facts
    stamp = source.stamp()
    assert stamp is not None
    assert (stamp.last, stamp.facts) == (str(RUN_DATE), facts)
    assert tuple(source.columns()) == SOURCE_COLUMNS
    chunks = list(source.chunks(chunk_rows=20))
    assert len(chunks) > 1
    lines = b"".join(chunk.lines for chunk in chunks).decode().splitlines()
    assert {name: (last, int(eid)) for name, last, eid in (line.split("\t") for line in lines)} == expected
    assert len(lines) == sum(chunk.facts.row_count for chunk in chunks) == len(expected)
    source.refuse_kept_files()
    source.truncate()
    return [before, source.facts()]


def test_the_push_reads_every_row_and_empties_its_flow_only(
    hive: Connection, pushed: list[Facts], daily: DayTruth
) -> None:
    assert pushed[1] == EMPTY
    assert rows(hive, "SELECT COUNT(*) FROM cma.base_evt WHERE flow = 'window'") == [(0,)]
    daily_is_the_truth(hive, daily)


@pytest.fixture(scope="module")
def preflight(judge: Judge, history: Path, daily: DayTruth) -> list[Finding]:
    """What preflight finds when it has Hive plan every statement."""
    del history, daily  # the tables that are read are there
    world: Any = SimpleNamespace(hive=lambda: closing(judge.connect()), settings=get_settings())
    return list(preflight_hive.statements(world))


def test_preflight_passes(preflight: list[Finding]) -> None:
    assert [finding for finding in preflight if finding.status is not Status.PASS] == []
    assert len(preflight) == 1


@pytest.fixture(scope="module")
def local_time(hive: Connection) -> list[tuple[Any, ...]]:
    return fetch(hive, "preflight/local_time.sql", {"zone": "Asia/Shanghai", "moment": "2024-07-29 17:00:00"})


def test_local_time_is_that_of_the_zone(local_time: list[tuple[Any, ...]]) -> None:
    assert local_time[0][0].split(".")[0] == "2024-07-30 01:00:00"


def test_every_file_is_executed(
    executed: Executed,
    expired: list[str],
    pushed: list[Facts],
    local_time: list[tuple[Any, ...]],
    record_property: Callable[[str, object], None],
) -> None:
    """Both flows and the push have run; a file that none of them executes is named."""
    del expired, pushed, local_time
    files = {f"hive/{path.relative_to(FOLDER)}" for path in FOLDER.rglob("*.sql")}
    record_property("statements", len(files))
    assert files - executed.files == set()


# --- the feed of the daily flow -----------------------------------------------------------------------
def feed_folder() -> Path:
    return Path(get_settings().points_feed_root.removeprefix("file:"))


def content_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def daily_is_the_truth(hive: Connection, truth: DayTruth) -> None:
    found = rows(hive, "SELECT oper_type, oper_ts, eid FROM cma.ads_evt_ops_status WHERE flow = 'daily'")
    used = {name: (truth.last_seen[name], min(1, count)) for name, count in truth.counts.items()}
    expected = used | {"checkCount": (max(truth.last_seen.values()), 1440)}
    assert {name: (last, eid) for name, last, eid in found} == expected
    assert len(found) == len(expected)
    assert rejected_in(hive, "daily") == {str(LAST): truth.rejected}
    assert quality_in(hive, "daily") == {str(LAST): quality_of(truth)}


def test_a_line_is_one_record_or_is_put_aside_whole(hive: Connection, daily: DayTruth) -> None:
    del daily
    values, ran = write_feed_lines(feed_folder()), context(window_of(RUN_DATE, 1))
    run_file("daily/src_evt", ran, values)
    run_file("daily/base_evt", ran, values)
    assert set(rows(hive, REJECTED_LINES)) == rejected_lines()
    assert rows(hive, COUNTED_LINES) == [counted_lines()]


def test_a_day_that_the_feed_does_not_have_is_not_created_there(hive: Connection, daily: DayTruth) -> None:
    del daily
    before = content_of(feed_folder())
    values = {"pt_year": "2024", "pt_month": "07", "pt_day": "27", "pt_dt": "2024-07-27"}
    values |= {"root": f"file:{feed_folder()}", "location": f"file:{feed_folder()}/2024/7/27"}
    ran = context(window_of(RUN_DATE, 1))
    run_file("daily/src_evt", ran, values)
    run_file("daily/evt_day_quality", ran, values)
    assert content_of(feed_folder()) == before
    assert quality_in(hive, "daily")["2024-07-27"] == (0, 0, 0, 0, 0, 0)


# --- tables that keep their files -----------------------------------------------------------------------
def test_the_guard_looks_at_every_table_that_is_created() -> None:
    created = re.findall(r"CREATE TABLE IF NOT EXISTS cma\.(\w+)", "".join(statements("schema/points_tables.sql")))
    assert sorted(created) == sorted(BUILT_TABLES)


def test_an_external_table_without_purge_is_refused_before_anything_is_built(
    hive: Connection, kind: str, pushed: list[Facts]
) -> None:
    del pushed  # the flows are done with the tables
    refuse_kept_files(hive)
    rows(hive, "ALTER TABLE cma.base_evt_ts UNSET TBLPROPERTIES ('external.table.purge')")
    if kind == "managed":
        refuse_kept_files(hive)
        return
    with pytest.raises(KeptFilesError, match=r"files of cma\.base_evt_ts when rows are removed"):
        HiveDayPlanOperator(task_id="plan", window=window_of(RUN_DATE, 1).texts()).execute(
            context(window_of(RUN_DATE, 1))
        )
