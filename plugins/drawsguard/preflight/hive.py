"""Hive: a plan for every statement, rights, settings, tables that can be emptied, and the feed's folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.hive_source import statements as statements_in
from drawsguard.points.telemetry.oper_type import hive_pattern
from drawsguard.preflight.model import Check, Finding, World, failed, grouped, listed, passed, warned
from drawsguard.preflight.run import cause
from drawsguard.settings import Settings
from drawsguard.sql import SQL_ROOT, Identifiers

PART = "Hive"

_CONNECTION = (
    "检查连接 hiveserver2_default（主机、认证、Kerberos/LDAP/TLS）。Correct the connection hiveserver2_default (host, "
    "authentication, Kerberos, LDAP or TLS)."
)
_TABLES = "触发 DAG points_schema 建表后重查。Trigger the DAG points_schema, then check again."
_RIGHTS = "授予 datalake_platform.cma_hudi 读、cma 写。Grant read on datalake_platform.cma_hudi and write on cma."
_STATEMENT = (
    "缺表触发 points_schema；缺权限找管理员；被严格检查拒绝则是语句的错误。"
    "A missing table needs points_schema, a missing "
    "right the administrator; what a strict check refuses is a fault of the statement."
)

SOURCE = "datalake_platform.cma_hudi"
_DAY = "2026-01-01"

#: Hive's number for a partition that an ALTER TABLE names and that is not there.
_NO_PARTITION = "[Error 10006]"

#: Settings that a build needs; a session may change some, an administrator may forbid it.
_NEEDED = {"hive.exec.dynamic.partition": "true"}
#: Each day of a statement is a partition.
_LIMITS = ("hive.exec.max.dynamic.partitions", "hive.exec.max.dynamic.partitions.pernode")


class NotExplainedError(RuntimeError):
    """The engine refused a statement, in words of its own."""


def answers(world: World) -> Iterator[Finding]:
    """HiveServer2 answers; says which engine it is."""
    with world.hive() as connection:
        if spark := _setting(connection, "spark.app.name"):
            yield warned(
                f"Spark Thrift Server ({spark})",
                "内置环境用 Spark 代替 Hive，投产前对真实 Hive 重查。"
                "The embedded stack has Spark for Hive: check again "
                "against Hive before production.",
            )
            return
        ((version,),) = _rows(connection, "SELECT version()")
    yield passed(f"Hive {version}")


# --- statements ------------------------------------------------------------------------------------------------
def files() -> list[str]:
    """Return every statement file, relative to ``include/sql/hive``."""
    root = SQL_ROOT / "hive"
    return [path.relative_to(root).as_posix() for path in sorted(Path(root).rglob("*.sql"))]


def names_of(file: str) -> list[dict[str, Identifiers]]:
    """Return the identifiers that a file is rendered with, once for each table that it is used for."""
    text = (SQL_ROOT / "hive" / file).read_text("utf-8")
    if "{{ table }}" not in text:
        return [{}]
    of_flow = ("base_evt", "evt_rejected", "evt_day_quality")
    tables: Sequence[str] = of_flow if "flow = " in text else ("base_evt_ts", "base_evt_day")
    return [{"table": table, "days": ["day_0"]} for table in tables]


def values(settings: Settings) -> dict[str, Any]:
    """Return a value for every parameter that a statement of Hive names."""
    config = points_config()
    year, month, day = _DAY.split("-")
    return {
        "flow": "window",
        "first": _DAY,
        "last": _DAY,
        "first_kept": _DAY,
        "days": [_DAY],
        "day_0": _DAY,
        "pt_dt": _DAY,
        "pt_year": year,
        "pt_month": month,
        "pt_day": day,
        "pattern": hive_pattern(config.oper_type_pattern),
        "max_count": config.telemetry.largest_count,
        "chunk_count": 1,
        "root": settings.points_feed_root,
        "location": f"{settings.points_feed_root}/{year}/{month}/{day}",
        "moment": f"{_DAY} 00:00:00",
        "zone": "UTC",
    }


def statements(world: World) -> Iterator[Finding]:
    """Hive plans every statement, without running it."""
    problems: dict[str, str] = {}
    planned = 0
    with world.hive() as connection:
        if missing := _missing(connection):
            yield failed(f"未检查，缺表 not looked at, tables are missing: {listed(missing)}", _TABLES)
            return
        for file in files():
            for names in names_of(file):
                for text in statements_in(file, **names):
                    try:
                        _explain(connection, text, values(world.settings))
                        planned += 1
                    except Exception as error:  # noqa: BLE001 - PyHive raises errors of Thrift, too
                        if _NO_PARTITION in str(error):  # the statement before adds it, and was only planned
                            planned += 1
                            continue
                        problems[f"{file} {names.get('table', '')}".strip()] = cause(error)
        later = "telemetry/daily/src_evt" if _feed_tables(connection) else "telemetry/daily/"
    # A day of the feed is made by the statement before the one that names it, and the table by the first run.
    if of_feed := [name for name in problems if name.startswith(later)]:
        yield warned(
            f"{listed(of_feed)}: 尚无表或当日分区 no table cma.src_evt, or no partition of the day yet",
            "points_hive_daily 首次运行后重查。Check again after the first run of points_hive_daily.",
        )
    for reason, found in grouped({name: why for name, why in problems.items() if name not in of_feed}).items():
        yield failed(f"{listed(found)}: {reason}", _STATEMENT)
    if planned:
        yield passed(f"有执行计划 {planned} 条 statements planned")


def _explain(connection: Any, text: str, bound: dict[str, Any]) -> None:
    if re.match(r"(?:SET|USE)\s", text, re.IGNORECASE):
        _run(connection, text)  # of this session only
        return
    if re.match(r"(?:DESCRIBE|EXPLAIN|SHOW)\s", text, re.IGNORECASE):
        _rows(connection, text, bound)  # it only reads, and has no plan
        return
    plan = "\n".join(str(row[0]) for row in _rows(connection, f"EXPLAIN {text}", bound))
    if "Error occurred during query planning" in plan:  # Spark answers with the error as a plan
        raise NotExplainedError(plan)


def rights(world: World) -> Iterator[Finding]:
    """The user may read the source and write the tables, by Hive's own verdict on statements of either kind."""
    tried = ("telemetry/window/source_days.sql", "telemetry/window/ads_evt_ops_status.sql")
    refused: dict[str, str] = {}
    with world.hive() as connection:
        ((user,),) = _rows(connection, "SELECT current_user()")
        for file in tried:
            (text,) = statements_in(file)
            try:
                rows = _rows(connection, f"EXPLAIN AUTHORIZATION {text}", values(world.settings))
            except Exception as error:  # noqa: BLE001 - PyHive raises errors of Thrift, too
                yield warned(
                    f"{user}: EXPLAIN AUTHORIZATION: {cause(error)[:120]}",
                    "此引擎不回答权限问题：用该用户试跑一天，或请管理员核对。"
                    "This engine does not say: build one day as this "
                    "user, or ask the administrator.",
                )
                return
            lines = [str(row[0]).strip() for row in rows]
            if "AUTHORIZATION_FAILURES:" in lines:
                refused[file] = "; ".join(lines[lines.index("AUTHORIZATION_FAILURES:") + 1 :])
    for reason, found in grouped(refused).items():
        yield failed(f"{user}: {listed(found)}: {reason}", _RIGHTS)
    if not refused:
        yield passed(f"{user}: {SOURCE} 读 read, cma 写 write")


# --- settings and tables -----------------------------------------------------------------------------------------
def settings(world: World) -> Iterator[Finding]:
    """Dynamic partitions are allowed, and enough of them for one statement."""
    days = points_config().telemetry.days_per_statement
    with world.hive() as connection:
        for name, wanted in _NEEDED.items():
            found = _setting(connection, name)
            if found and found != wanted:
                yield failed(f"{name} = {found}", f"SET {name} = {wanted}")
        for name in _LIMITS:
            found = _setting(connection, name)
            if found and found.isdigit() and int(found) < days:
                yield failed(
                    f"{name} = {found} < {days}",
                    f"调大 {name}，或调小 points.yaml 的 days_per_statement。Raise it, or lower days_per_statement in "
                    "include/config/points.yaml.",
                )
        try:
            _run(connection, "SET hive.exec.dynamic.partition.mode=nonstrict")
        except Exception as error:  # noqa: BLE001 - PyHive raises errors of Thrift, too
            yield failed(
                f"hive.exec.dynamic.partition.mode: {cause(error)}",
                "允许会话设置它（hive.security.authorization.sqlstd.confwhitelist.append）。Let sessions set it.",
            )
            return
    yield passed(f"动态分区 dynamic partitions: {days} 天一条 days a statement")


def tables(world: World) -> Iterator[Finding]:
    """The tables exist, and those that are emptied can be."""
    fine: list[str] = []
    with world.hive() as connection:
        if missing := _missing(connection):
            yield failed(f"缺表 missing: {listed(missing)}", _TABLES)
        for name in table_names():
            if name in missing:
                continue
            described = _described(connection, name)
            external = "EXTERNAL" in described.get("table type", described.get("type", "")).upper()
            purged = described.get("external.table.purge", "").casefold() == "true"
            if external and not purged:
                yield failed(
                    f"{name}: 外部表、无 external.table.purge an external table without external.table.purge",
                    f"ALTER TABLE {name} SET TBLPROPERTIES ('external.table.purge'='true')：否则 TRUNCATE "
                    "被拒、旧文件残留。"
                    "Else TRUNCATE is refused, and old files remain.",
                )
            else:
                fine.append(name)
    if fine:
        yield passed(listed(fine, most=len(fine)))


def _missing(connection: Any) -> list[str]:
    """Return the tables that are not there: the pipeline's own, and the source."""
    databases = {str(row[0]) for row in _rows(connection, "SHOW DATABASES")}
    there = {
        f"{database}.{row[-2] if len(row) > 2 else row[0]}"
        for database in {name.split(".")[0] for name in (*table_names(), SOURCE)} & databases
        for row in _rows(connection, f"SHOW TABLES IN {database}")
    }
    return [name for name in (*table_names(), SOURCE) if name not in there]


def _feed_tables(connection: Any) -> list[str]:
    """Return the tables over the legacy feed; the first run of ``points_hive_daily`` makes them."""
    if ("cma",) not in [row[:1] for row in _rows(connection, "SHOW DATABASES")]:
        return []
    rows = _rows(connection, "SHOW TABLES IN cma LIKE 'src_evt*'")
    return [str(row[-2] if len(row) > 2 else row[0]) for row in rows]


def table_names() -> list[str]:
    """Return the tables that ``points_schema`` makes in Hive and the flows write; not the feed, which is CMA's."""
    text = "\n".join(statements_in("schema/points_tables.sql"))
    return [name for name in re.findall(r"CREATE TABLE IF NOT EXISTS (cma\.\w+)", text) if "src_evt" not in name]


def feed(world: World) -> Iterator[Finding]:
    """The feed's table lies in the folder of the settings and can be read."""
    root = world.settings.points_feed_root.rstrip("/")
    with world.hive() as connection:
        names = _feed_tables(connection)
        if not names:
            yield warned(
                f"尚无 no table cma.src_evt; {root}",
                "points_hive_daily 首次运行时建表；先确认 Hive 用户可读该目录。"
                "The first run of points_hive_daily makes it: make "
                "sure that Hive's user may read the folder.",
            )
            return
        for name in names:
            place = _described(connection, f"cma.{name}").get("location", "").rstrip("/")
            if not place.endswith(root):
                yield failed(
                    f"cma.{name}: {place}，应为 expected {root}",
                    "改 DRAWSGUARD_POINTS_FEED_ROOT，或删除并重建该外部表。"
                    "Correct DRAWSGUARD_POINTS_FEED_ROOT, or drop the "
                    "external table and let it be made again.",
                )
                continue
            partitions = [str(row[0]) for row in _rows(connection, f"SHOW PARTITIONS cma.{name}")]
            if not partitions:
                yield warned(
                    f"cma.{name}: 还没有分区 no partition yet",
                    "points_hive_daily 跑过一天后重查。Check again after points_hive_daily has run for a day.",
                )
                continue
            condition = " AND ".join(
                f"{column} = '{value}'"
                for column, _, value in (part.partition("=") for part in partitions[-1].split("/"))
            )
            _rows(connection, f"SELECT 1 FROM cma.{name} WHERE {condition} LIMIT 1")  # noqa: S608 - names from Hive itself
            yield passed(f"{place}: 可读 readable, {partitions[-1]}")


# --- asking ------------------------------------------------------------------------------------------------------
def _run(connection: Any, text: str, bound: dict[str, Any] | None = None) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(text, bound)


def _rows(connection: Any, text: str, bound: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(text, bound)
        return list(cursor.fetchall())


def _setting(connection: Any, name: str) -> str:
    """Return a setting of the session; empty where it is not defined. Hive answers in one column, Spark in two."""
    for row in _rows(connection, f"SET {name}"):
        found = str(row[-1])
        value = found.partition("=")[2] if len(row) == 1 else found
        return "" if "undefined" in found else value.strip()
    return ""


def _described(connection: Any, name: str) -> dict[str, str]:
    """Return what DESCRIBE FORMATTED says, by its labels in lower case; properties are among them."""
    found: dict[str, str] = {}
    for row in _rows(connection, f"DESCRIBE FORMATTED {name}"):
        label, value, *rest = [str(cell or "").strip() for cell in row]
        if label:
            found[label.rstrip(":").casefold()] = value
        elif value:
            found[value.casefold()] = rest[0] if rest else ""
    for name_, value in re.findall(r"([\w.]+)=([^,\]]+)", found.get("table properties", "")):
        found[name_.casefold()] = value
    return found


CHECKS = (
    Check(PART, "answers", "可连接 Answers", answers, _CONNECTION, seconds=120),
    Check(PART, "settings", "会话设置 Settings", settings, _CONNECTION, seconds=120),
    Check(PART, "tables", "表 Tables", tables, _TABLES, seconds=120),
    Check(PART, "statements", "每条语句 Every statement", statements, _STATEMENT, seconds=300),
    Check(PART, "rights", "库权限 Rights on the databases", rights, _RIGHTS, seconds=120),
    Check(PART, "feed", "旧数据流目录 Folder of the feed", feed, _RIGHTS, seconds=120),
)
