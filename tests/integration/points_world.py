"""Both environments, the governance server and the lifecycle on a real server, for tests of the downline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from drawsguard.points.database import close, transaction
from drawsguard.points.definitions import Tag, members_by_tag, read_tags
from drawsguard.points.downline.backup import back_up
from drawsguard.points.downline.execution import Execution
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.planner import Planned, Planner
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.environments import ENVIRONMENTS, Environment
from drawsguard.points.policy import load_policy
from drawsguard.points.review.batch_state import BatchState
from drawsguard.points.review.candidate import Decision
from drawsguard.points.review.confirmed import Confirmed
from drawsguard.points.review.evidence import Window
from drawsguard.points.review.usage_report import Report, make_report
from drawsguard.points.telemetry.config import points_config
from local.config import MYSQL_GRANTS, Config
from local.demo.downline import connect
from local.golden.dataset import Environment as Definitions
from local.golden.dataset import Golden, PointRow, TagRow
from local.golden.load import load_environment, load_evidence
from local.points_schema import migrate_all

TODAY = date(2024, 8, 2)
WINDOW = Window.ending(date(2024, 7, 30), 180)
EVIDENCE = f"window_{WINDOW.last}"
OLD = datetime.fromisoformat("2021-03-04 05:06:07")
BATCH = "b1"
#: Small worlds are changed as a whole: the percent cap is tested on its own.
RULES = load_policy().model_copy(update={"caps": load_policy().caps.model_copy(update={"percent": 100.0})})


def point(number: int, table: str = "define_nosdata_general", **changes: Any) -> tuple[str, PointRow]:
    cluster = {"define_nosdata_general": "redis_evt_A", "define_nosdata_mqzdr": "redis_mq"}.get(table, "redis_flag")
    row = PointRow(number, 1, "chenwei", "a", "b", f"积分 {number}", "evt", "normal", cluster, None, OLD, OLD)
    return table, row._replace(**changes)


def tag(number: int, *members: int, status: int = 1) -> TagRow:
    return TagRow(number, status, f"积分域 {number}", "liuyang", ",".join(map(str, members)), OLD)


def definitions(points: list[tuple[str, PointRow]], tags: list[TagRow]) -> Definitions:
    found = Definitions()
    for table, row in points:
        found.points[table].append(row)
    found.tags["define_nostag_general"] = tags
    # Every table has a living row, as in production.
    for number, (table, rows) in enumerate(found.points.items()):
        rows.append(point(9000 + number, table, cluster="redis_fish")[1])
    for number, rows in enumerate(found.tags.values()):
        rows.append(tag(9000 + number, 9000))
    return found


def small_world() -> tuple[Definitions, Definitions]:
    """Ten candidates in two tables, one of them with two live rows; tags within, across and outside the batch."""
    points = [point(number) for number in range(1, 8)]
    points += [point(number, "define_nosdata_mqzdr") for number in range(11, 14)]
    points.append(point(3, status=2, description="第二行"))
    tags = [tag(501, 1, 2), tag(502, 3, 9000), tag(503, 4, 5, 11)]
    extranet = [p for p in points if p[1].id != 7]
    return definitions(points, tags), definitions(extranet, [tag(501, 1, 2), tag(502, 3), tag(503, 4, 5, 11)])


@dataclass
class World:
    """A loaded world; ``environment`` opens connections as the operators do."""

    config: Config
    governance: Any
    repositories: Repositories

    @contextmanager
    def environment(self, name: str) -> Iterator[Any]:
        connection = connect(self.config, name)
        try:
            yield connection
        finally:
            close(connection)

    def planner(self) -> Planner:
        return Planner(self.repositories, self.environment, RULES, TODAY)

    def load(self, intranet: Definitions, extranet: Definitions, metrics: list[Any] | None = None) -> None:
        for name, tables in zip(ENVIRONMENTS, (intranet, extranet), strict=True):
            with self.environment(f"{name}_schema") as connection:
                load_environment(connection, tables)
        for table in ("ads_evt_ops_status_ago", "ads_evt_ops_status", "evidence_batch", "evidence_batch_day"):
            self.sql("governance", f"DELETE FROM rsp_datagovern.{table}")  # another test's may be newer
        used = metrics if metrics is not None else [("que_eid_9999", datetime.fromisoformat("2024-07-01"), 1)]
        load_evidence(self.governance, Golden(WINDOW, intranet, extranet, used, []))

    def report(self, evidence: str = EVIDENCE) -> Report:
        with self.environment("intranet") as connection:
            return make_report(self.governance, connection, self.members(), RULES, points_config(), TODAY, evidence)

    def cover(self, last: date, *missing: date) -> None:
        """Let the pushed evidence cover the 180 days that end with ``last``, but for some."""
        batch = f"window_{last}"
        self.sql(
            "governance",
            "REPLACE INTO rsp_datagovern.evidence_batch (batch_id, flow, window_start, window_end, state, row_count,"
            " eid_sum, checksum, run_id, published_at)"
            " VALUES (%s, 'window', %s, %s, 'completed', 0, 0, 0, 'r', UTC_TIMESTAMP(6))",
            batch, *Window.ending(last, 180),
        )  # fmt: skip
        self.sql("governance", "DELETE FROM rsp_datagovern.evidence_batch_day WHERE batch_id = %s", batch)
        days = [day for day in Window.ending(last, 180).days if day not in missing]
        marks = ", ".join(["(%s, %s, 1440)"] * len(days))
        self.sql(
            "governance",
            f"INSERT INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes) VALUES {marks}",
            *[value for day in days for value in (batch, day)],
        )

    def load_use(self, *metrics: tuple[str, int]) -> None:
        """Replace the pushed statistics by these metrics (oper_type, count), seen on the window's last day."""
        self.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status_ago")
        for name, count in metrics:
            values = (EVIDENCE, name, WINDOW.last, count)
            self.sql("governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status_ago VALUES (%s, %s, %s, %s)", *values)

    def members(self) -> dict[int, set[int]]:
        """Return the points of each tag, as `points_databases.members_of_tags` does."""
        tags: list[Tag] = []
        for name in ENVIRONMENTS:
            with self.environment(name) as connection:
                tags += read_tags(connection)
        return members_by_tag(tags)

    def confirm(self, *points: int, batch_id: str = BATCH, evidence: str = EVIDENCE) -> None:
        """Make the report and confirm some of its candidates (none named: all)."""
        report = self.report(evidence)
        self.repositories.batches.save_report(batch_id, "intranet", report.window, report.rows)
        decisions = {}
        for row in report.rows:
            number = int(row.cells[0])
            down = not points or number in points
            decisions[number] = Confirmed(Decision.DOWNLINE if down else Decision.KEEP, "mangge", "", "s", 3)
        self.repositories.batches.save_decisions(batch_id, decisions, "requester")

    def plan(self, name: Environment, batch_id: str = BATCH) -> Planned:
        planned = self.planner().plan(batch_id, name)
        self.repositories.plans.save(planned.plan)
        return planned

    def prepare_change(self, name: Environment, batch_id: str = BATCH) -> Planned:
        """Plan, keep structures, and back up: everything up to the approval."""
        planned = self.plan(name, batch_id)
        structures = [Structure(p, "redis_evt_A", "string", f"evt:{p}", None) for p in sorted(planned.plan.points())]
        self.repositories.structures.save(batch_id, structures)
        with self.environment(name) as connection:
            for table in sorted({row.table for row in planned.plan.rows}):
                self.repositories.backups.save(batch_id, name, back_up(connection, batch_id, name, table))
        return planned

    def execute(
        self, planned: Planned, connection: Any, chunk_rows: int = 2, stop: Callable[[], bool] = lambda: False
    ) -> int:
        plan = planned.plan
        # A connection of its own: plans are executed side by side, too.
        with closing(connect(self.config, "governance")) as own, transaction(own):
            Repositories(own).batches.move(plan.batch_id, BatchState.DOWNLINING)
        journal = Journal(connection, plan.batch_id, plan.environment)
        return Execution(connection, journal, stop, plan.digest, chunk_rows).downline(plan)

    def downline(self, name: Environment, batch_id: str = BATCH) -> int:
        planned = self.prepare_change(name, batch_id)
        with self.environment(name) as connection:
            return self.execute(planned, connection)

    def journal(self, name: Environment, batch_id: str = BATCH) -> list[Any]:
        with self.environment(name) as connection:
            return Journal(connection, batch_id, name).entries()

    def rows(self, name: Environment) -> dict[tuple[str, int, str], tuple[int, str]]:
        """Return (table, id, text) → (status, last_modify_time) of every row."""
        found = {}
        with self.environment(name) as connection, closing(connection.cursor()) as cursor:
            for table, text in [
                *[(f"define_nosdata_{suffix}", "description") for suffix in ("general", "mqzdr", "flag")],
                *[(f"define_nostag_{suffix}", "name") for suffix in ("general", "mqzdr", "flag")],
            ]:
                cursor.execute(f"SELECT id, {text}, status, CAST(last_modify_time AS CHAR) FROM {table}")
                for number, name_of_row, status, modified in cursor.fetchall():
                    found[table, int(number), name_of_row] = (int(status), modified)
        return found

    def sql(self, name: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as somebody outside the lifecycle would."""
        with self.environment(f"{name}_schema") as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement, values or None)
            rows = list(cursor.fetchall())
            connection.commit()
        return rows


def new_world(config: Config) -> World:
    """Return a world with an empty lifecycle and journal."""
    empty_schemas(config, keep={"rsp_datagovern"})
    migrate_all(config)
    governance = connect(config, "governance")
    return World(config, governance, Repositories(governance))


def empty_schemas(config: Config, keep: Collection[str] = ()) -> None:
    """Drop every table that migrations make, and backups; but for the schemas in ``keep``."""
    for server, schemas in MYSQL_GRANTS.items():
        with closing(connect(config, f"{server}_schema")) as connection, closing(connection.cursor()) as cursor:
            for schema in set(schemas) - set(keep):
                cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,))
                for (table,) in cursor.fetchall():
                    cursor.execute(f"DROP TABLE {schema}.{table}")
