"""One warehouse and one feed under a clock of their own: what can happen to them, and what must come of it.

Every method that changes something adds a line to `World.lines`, so that a failure reads as a story. The pipeline's
own functions do the work, as its operators call them; what has to come of it follows from the versions that were handed
to them, by the rules of `local.histories.oracle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from google.cloud.bigquery import Client, QueryJobConfig

from drawsguard.draws.collect.feed import Answer, FeedUnreachableError
from drawsguard.draws.collect.poll import Poll, recorded_poll
from drawsguard.draws.collect.source_repository import SourceRepository
from drawsguard.draws.features.refresh import RefreshLog, run_refresh
from drawsguard.draws.model import Draw
from drawsguard.draws.recent.memory import Notes
from drawsguard.draws.repair.gaps import find_gaps
from drawsguard.draws.repair.reconcile import reconcile
from drawsguard.draws.repair.repairer import Repairer
from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, TargetRepository
from drawsguard.draws.window import SyncRequest, Window, latest_slot
from drawsguard.settings import get_settings
from drawsguard.warehouse.parameters import StructArray, bind
from drawsguard.warehouse.runner import StatementRunner
from local.histories import oracle
from local.histories.faults import Fault, FaultyClient, Killed, TimedOut
from local.histories.oracle import Mismatch, Version

#: Where the clock of a world starts unless it is told otherwise: a Wednesday.
BEGINNING = datetime(2025, 10, 1, tzinfo=UTC)
#: Periods that the features look back, unless told otherwise.
HORIZON = 30
SLOT = timedelta(minutes=5)
SECOND = timedelta(seconds=1)

#: Columns of the source, for rows that arrive there without the collector.
_SOURCE_COLUMNS = {
    "period": "INT64", "timestamp": "TIMESTAMP", "numbers": "ARRAY<INT64>", "sum_value": "INT64",
    "big_small": "STRING", "odd_even": "STRING", "created_at": "TIMESTAMP", "updated_at": "TIMESTAMP",
    "ingested_at": "TIMESTAMP",
}  # fmt: skip
#: How long a task takes.
_TASK = timedelta(minutes=2)
#: Rows of one INSERT.
_BATCH = 2000

#: What the log of each task is kept in.
_LOGS = {"sync_log": "finished_at", "feature_update_log": "finished_at", "collect_log": "polled_at"}


class World:
    """The pipeline's tables, empty at first, and the feed that fills them.

    :param client: of the project and location that hold the datasets of the settings.
    :param horizon: how many periods back the features look.
    :param now: where the clock starts.
    """

    def __init__(self, client: Client, horizon: int = HORIZON, now: datetime = BEGINNING) -> None:
        self._plain = client
        self.client = FaultyClient(client)
        self.horizon = horizon
        self.now = now
        self.lines: list[str] = []
        #: What the feed says of each period, where it says anything.
        self.feed: dict[int, Version] = {}
        #: Every version that reached the source.
        self.source: dict[int, list[Version]] = {}
        self.feed_is_down = False
        #: How long a task takes, whatever it does: so the story that a seed tells does not depend on the code.
        self.task_time = _TASK
        #: What the tasks remember; it survives them, and the loss of it is a thing that can happen.
        self.notes = Notes()
        self._runs = 0
        self._truncate()

    # --- clock and story ----------------------------------------------------------------------------------------
    def clock(self) -> datetime:
        """Return the time; a second passes each time that somebody looks."""
        self.now += SECOND
        return self.now

    def say(self, line: str) -> None:
        self.lines.append(f"{self.now:%m-%d %H:%M:%S} {line}")

    def wait(self, span: timedelta) -> None:
        self.now += span
        self.say(f"{span} later")

    # --- what the feed and the source are given -----------------------------------------------------------------
    def publish(self, *versions: Version, what: str = "the feed's history has") -> None:
        """Let the feed's history say this of the periods; nobody has read it yet."""
        for version in versions:
            self.feed[version.period] = version
        self.say(f"{what} {_described(versions)}")

    def collect(self, *versions: Version, fault: Fault | None = None, what: str = "collect", fit: bool = True) -> None:
        """Poll the feed, which shows these versions as its latest. With a fault the poll is made again.

        :param fit: whether their times fit the draws around them; if not, the source must not have them afterwards.
        """
        polled_at = self.clock()
        self.feed |= {version.period: version for version in versions}

        def poll() -> None:
            source = SourceRepository(cast(Client, self.client), "draw_collect", "collect", self.notes)
            Poll(source, "latest").write([_answer(versions, polled_at)])

        if self._task(f"{what} {_described(versions)}", poll, fault) != "ended":
            self._task("collect the same again", poll, None)
        for version in versions if fit else ():
            stored = self.source.setdefault(version.period, [])
            gained = oracle.collected(stored, version, polled_at)
            if gained is not None:
                stored.append(gained)

    def insert(self, *versions: Version, what: str = "insert into the source") -> None:
        """Put versions into the source past the collector; the feed's history says the same as the newest of them."""
        ingested_at = self.clock()
        table = get_settings().table("source", "draws")
        columns = ", ".join(f"row_.{name}" for name in _SOURCE_COLUMNS)
        rows = [_source_row(version, ingested_at) for version in versions]
        for start in range(0, len(rows), _BATCH):
            parameters = bind(rows=StructArray(_SOURCE_COLUMNS, rows[start : start + _BATCH]))
            self._plain.query(
                f"INSERT INTO {table} ({', '.join(_SOURCE_COLUMNS)}) SELECT {columns} FROM UNNEST(@rows) AS row_",  # noqa: S608
                job_config=QueryJobConfig(query_parameters=parameters),
            ).result()
        for version in versions:
            self.source.setdefault(version.period, []).append(version)
        self.feed |= oracle.newest(v for version in versions for v in self.source[version.period])
        self.say(f"{what} {_described(versions)}")

    # --- what the pipeline's tasks do ---------------------------------------------------------------------------
    def sync(self, asked: Window | None = None, fault: Fault | None = None, *, interval: Window | None = None) -> str:
        """Sync the latest interval, another one, or the range that a person asked for; then verify it."""
        settings = get_settings()
        request = (
            SyncRequest(asked, "range") if asked else SyncRequest(interval or latest_slot(self.now, SLOT), "interval")
        )

        def task() -> None:
            warehouse = TargetRepository(
                cast(Client, self.client), dag_id="draw_sync", task_id="sync", memory=self.notes
            )
            started_at = self.clock()
            window = request.interval

            def log(status: str, **outcome: Any) -> None:
                ended = SyncOutcome(status, started_at, self.clock(), window, **outcome)
                warehouse.log(request, ended, run_id=self._run_id(), try_number=1)

            try:
                plan = warehouse.plan(request, timedelta(minutes=settings.sync_lookback_minutes), started_at)
                window = plan.read
                if plan.equal:
                    log("success", affected=0)
                    return
                merged = self._statements("draw_sync").run(MERGE_STATEMENT, **plan.bounds(), synced_at=self.clock())
            except (Exception, TimedOut) as error:
                log("failed", error=repr(error))
                raise
            log("success", job_id=merged.job_id, affected=merged.affected)
            warehouse.verify(plan)

        return self._task(f"sync {request.mode} {request.interval}", task, fault)

    def repair(self, asked: Window | None = None, fault: Fault | None = None) -> str:
        """Find and repair what is missing, anywhere or in the span that a person asked for."""
        settings = get_settings()

        def task() -> None:
            worker = self._repairer("draw_repair")
            started_at = worker.clock()
            settled_before = started_at - timedelta(seconds=settings.repair_grace_seconds)
            gaps = find_gaps(worker.statements, asked, settled_before) if asked else worker.search(settled_before)[0]
            failure = worker.repair(gaps).failure if gaps else None
            if failure:
                raise failure

        return self._task(f"repair {asked or 'everything'}", task, fault)

    def reconcile(self, fault: Fault | None = None) -> str:
        """Compare source and target, and repair what differs."""
        return self._task(
            "reconcile", lambda: reconcile(self._repairer("draw_reconcile"), get_settings().reconcile_hours), fault
        )

    def refresh(self, rebuild: Window | None = None, fault: Fault | None = None) -> str:
        """Refresh the features of what changed, or of every draw in a span."""

        def task() -> None:
            log = RefreshLog(self._statements("feature_refresh"), "feature_refresh", self._run_id(), 1, self.clock())
            run_refresh(log, self.clock, asked=rebuild, horizon=self.horizon, memory=self.notes)

        return self._task(f"refresh {rebuild or 'what changed'}", task, fault)

    def lose_log_rows(self, table: str, since: datetime) -> None:
        """Delete what a log says of the time from ``since`` on."""
        name, column = get_settings().table("monitor", table), _LOGS[table]
        self._plain.query(
            f"DELETE FROM {name} WHERE {column} >= @since",  # noqa: S608 - only names
            job_config=QueryJobConfig(query_parameters=bind(since=since)),
        ).result()
        self.say(f"the rows of {table} since {since:%m-%d %H:%M:%S} are lost")

    def double_row(self, table: str, period: int) -> None:
        """Let somebody put the row of a period into a table of the target once more, if it is there."""
        name, key, time = self._keys(table)
        self._alter(f"INSERT INTO {name} SELECT * FROM {name} WHERE {time} >= @earliest AND {key} = @period", period)  # noqa: S608
        self.say(f"somebody doubles {period} in {table}")

    def lose_row(self, table: str, period: int) -> None:
        """Let somebody delete the row of a period from a table of the target."""
        name, key, time = self._keys(table)
        self._alter(f"DELETE FROM {name} WHERE {time} >= @earliest AND {key} = @period", period)  # noqa: S608
        self.say(f"somebody deletes {period} from {table}")

    def put_back(self, version: Version) -> None:
        """Let somebody restore the row of a draw in the target to this version, from a backup."""
        name, key, time = self._keys("draws")
        total = sum(version.numbers)
        values = (
            f"numbers = {list(version.numbers)}, sum_value = {total}, updated_at = NULL, "
            f"big_small = '{'big' if total >= 14 else 'small'}', odd_even = '{'odd' if total % 2 else 'even'}'"
        )
        self._alter(f"UPDATE {name} SET {values} WHERE {time} >= @earliest AND {key} = @period", version.period)  # noqa: S608
        self.say(f"somebody puts {version.period} back to {version.numbers}")

    def _keys(self, table: str) -> tuple[str, str, str]:
        key, time = {"draws": ("period", "timestamp"), "draws_14w": ("issue", "ts_utc")}[table]
        return get_settings().table("target", table), key, time

    def _alter(self, statement: str, period: int) -> None:
        parameters = bind(earliest=EARLIEST, period=period)
        self._plain.query(statement, job_config=QueryJobConfig(query_parameters=parameters)).result()

    def full_round(self) -> list[str]:
        """Let everything settle, then sync, repair, reconcile and refresh once; return how those that failed ended.

        The sync may fail: its verification names a row that is there twice, which only the reconcile makes one again.
        """
        self.feed_is_down = False
        self.wait(timedelta(hours=1))
        self.sync()
        ended = [self.repair(), self.reconcile(), self.refresh()]
        return [line for line in ended if line != "ended"]

    # --- what must have come of it ------------------------------------------------------------------------------
    def truth(self) -> dict[int, Version]:
        """Return what ``draws`` has to hold: the newest version that was collected, else what the feed says."""
        return self.feed | oracle.newest(version for versions in self.source.values() for version in versions)

    def mismatches(self) -> list[Mismatch]:
        """Compare both tables, whole, with the truth."""
        truth = self.truth()
        return [
            *oracle.wrong_draws(truth, self.rows("draws")),
            *oracle.wrong_features(oracle.features(truth, self.horizon), self.rows("draws_14w")),
        ]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of a table of the target dataset."""
        return [dict(row.items()) for row in self._plain.list_rows(get_settings().table("target", table).strip("`"))]

    # --- helpers ------------------------------------------------------------------------------------------------
    def _task(self, what: str, work: Callable[[], Any], fault: Fault | None) -> str:
        """Run one task to its end, whatever that is, and return how it ended."""
        self._runs += 1
        over = self.now + self.task_time
        self.client.arm(fault)
        ended = "ended"
        try:
            work()
        except (Killed, TimedOut):
            ended = str(fault)
        except Exception as error:  # noqa: BLE001 - a task that fails is part of a history
            ended = f"raised {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
        finally:
            self.client.arm(None)
            self.now = max(self.now, over)
        self.say(what if ended == "ended" else f"{what}: {ended}")
        return ended

    def _run_id(self) -> str:
        return f"run-{self._runs}"

    def _statements(self, dag_id: str) -> StatementRunner:
        return StatementRunner(cast(Client, self.client), dag_id, dag_id.removeprefix("draw_"))

    def _repairer(self, dag_id: str) -> Repairer:
        client = cast(Client, self.client)
        task_id = dag_id.removeprefix("draw_")
        source = SourceRepository(client, dag_id, task_id, self.notes)

        def read_history(span: Window) -> None:
            with recorded_poll(source, "history", self._run_id(), 1, 1) as poll:
                if self.feed_is_down:
                    raise FeedUnreachableError("The feed is down.")
                known = [v for v in self.feed.values() if span.start <= v.timestamp < span.end]
                poll.write([_answer(known, self.clock())])

        return Repairer(client, dag_id, task_id, self._run_id(), 1, read_history, self.clock, self.notes)

    def _truncate(self) -> None:
        settings = get_settings()
        for dataset in (settings.source_dataset, settings.target_dataset, settings.monitor_dataset):
            for table in self._plain.list_tables(dataset):
                if table.table_type == "TABLE" and table.table_id != "schema_migrations":
                    self._plain.query(f"TRUNCATE TABLE `{settings.project}.{dataset}.{table.table_id}`").result()


def _answer(versions: Iterable[Version], polled_at: datetime) -> Answer:
    draws = tuple(_draw(version) for version in sorted(versions, key=lambda version: version.period))
    return Answer(polled_at, draws, (), len(draws))


def _draw(version: Version) -> Draw:
    return Draw.derive(version.period, version.timestamp, version.numbers, version.created_at, version.updated_at)


def _source_row(version: Version, ingested_at: datetime) -> SimpleNamespace:
    draw = _draw(version)
    values = {name: getattr(draw, name) for name in _SOURCE_COLUMNS if name != "ingested_at"}
    return SimpleNamespace(**values, ingested_at=ingested_at)


def _described(versions: Iterable[Version]) -> str:
    """Return the versions in a line: runs of them by their ends, single ones in full."""
    listed = list(versions)
    if len(listed) > 4:
        return f"{len(listed)} draws from {min(v.period for v in listed)} to {max(v.period for v in listed)}"
    return ", ".join(
        f"{v.period} = {'+'.join(map(str, v.numbers))} of {v.timestamp:%m-%d %H:%M:%S}"
        + (f" updated {v.updated_at:%m-%d %H:%M:%S}" if v.updated_at else f" created {v.created_at:%m-%d %H:%M:%S}")
        for v in listed
    )
