"""MySQL: rights, settings, engines, both environments the right way round, and every statement prepared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from drawsguard.points import definitions, schema
from drawsguard.points.database import fetch, statement, statements_of
from drawsguard.points.environments import ENVIRONMENTS, Environment, backup_schema, journal_schema, scratch_schema
from drawsguard.points.policy import get_policy
from drawsguard.points.schema import SERVERS, Server
from drawsguard.preflight.model import Check, Finding, World, failed, grouped, listed, passed, warned
from drawsguard.preflight.run import cause
from drawsguard.settings import Settings
from drawsguard.sql import SQL_ROOT, Identifiers

#: The server's clock may differ from ours by this much (seconds).
CLOCK_SECONDS = 30

_GRANTS = "按 docs/mysql.md 授权后重查。Grant what docs/mysql.md lists, then check again."
_POINTS_SCHEMA = "触发 DAG points_schema 后重查。Trigger the DAG points_schema, then check again."
_EMBEDDED = "内置环境用 MariaDB，投产前对 MySQL 8 重查。The embedded stack has MariaDB: check again against MySQL 8."


def conn_ids(settings: Settings) -> dict[Server, str]:
    """Return the connection of each server's run time."""
    return {
        "governance": settings.governance_mysql_conn_id,
        "intranet": settings.intranet_mysql_conn_id,
        "extranet": settings.extranet_mysql_conn_id,
    }


def _look_at(world: World, server: Server) -> dict[str, Any]:
    """Return what the server says about itself, by the columns of ``preflight/server.sql``."""
    with world.mysql(conn_ids(world.settings)[server]) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement("preflight/server.sql"))
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def answers(world: World, server: Server) -> Iterator[Finding]:
    """The connection works, to MySQL 8."""
    seen = _look_at(world, server)
    version = str(seen["version"])
    place = f"{seen['user_name']} @ {seen['host_name']}:{seen['port_number']}/{seen['schema_name']}, {version}"
    if "MariaDB" in version:
        yield warned(place, _EMBEDDED)
    elif int(version.split(".", 1)[0]) < 8:
        yield failed(place, "升级到 MySQL 8。Upgrade to MySQL 8.")
    else:
        yield passed(place)


def variables(world: World, server: Server) -> Iterator[Finding]:
    """The server's settings are those that the statements rely on; the SQL mode is set by every connection."""
    seen = _look_at(world, server)
    if not str(seen["character_set"]).startswith("utf8mb4"):
        yield warned(
            f"character_set_server = {seen['character_set']}",
            "连接的 extra 写 charset=utf8mb4，库用 utf8mb4。"
            "Set charset=utf8mb4 in the connection's extra, and make the "
            "schemas utf8mb4.",
        )
    if seen["read_only"] not in (0, "OFF"):
        yield failed("read_only = ON", "这是只读副本：改连主库。This is a replica: connect to the primary.")
    if server == "governance" and seen["local_infile"] not in (1, "ON"):
        yield failed(
            "local_infile = OFF", "SET GLOBAL local_infile = ON：15:00 推送需要它。The push at 15:00 needs it."
        )
    if seen["explicit_defaults_for_timestamp"] not in (1, "ON"):
        yield warned(
            "explicit_defaults_for_timestamp = OFF",
            "设为 ON（MySQL 8 的默认）：否则 TIMESTAMP 列会自己改变。"
            "Set it ON, the default of MySQL 8: TIMESTAMP columns "
            "would change by themselves.",
        )
    yield passed(f"character_set_server = {seen['character_set']}")


def clock(world: World, server: Server) -> Iterator[Finding]:
    """The session is in UTC, and the server's clock is right."""
    seen, now = _look_at(world, server), datetime.now(UTC).replace(tzinfo=None)
    drift = abs((seen["utc_now"] - now).total_seconds())
    shift = abs((seen["session_now"] - seen["utc_now"]).total_seconds())
    if shift > CLOCK_SECONDS:
        yield failed(
            f"会话时区 session time zone {seen['session_time_zone']}",
            "会话应为 UTC：去掉连接里的时区设置。The session must be UTC: remove the zone from the connection.",
        )
    elif drift > CLOCK_SECONDS:
        yield failed(f"时钟差 clock differs by {drift:.0f} s", "校准两边时钟（NTP）。Correct the clocks (NTP).")
    else:
        yield passed(f"UTC，差 differs by {drift:.0f} s")


# --- rights --------------------------------------------------------------------------------------------------
_DATA = ("SELECT", "INSERT", "UPDATE", "DELETE")


def required_rights(server: Server, own_schema: str) -> dict[str, tuple[str, ...]]:
    """Return what the user of the run time needs: schema → rights (docs/mysql.md).

    :param own_schema: the schema of the connection; that of the definition tables for an environment.
    """
    if server == "governance":
        return {
            "rsp_datagovern": (*_DATA, "CREATE TEMPORARY TABLES"),
            "points_lifecycle": _DATA,
            "governance_audit": ("SELECT", "INSERT"),
        }
    return {
        own_schema: ("SELECT", "UPDATE"),
        backup_schema(server): ("SELECT", "INSERT", "UPDATE", "CREATE", "DROP"),
        scratch_schema(server): ("SELECT", "INSERT", "CREATE", "DROP"),
        journal_schema(server): ("SELECT", "INSERT", "UPDATE"),
    }


#: Schemas whose rows may only be added: more rights than these are too many.
_APPEND_ONLY = {"governance_audit": {"UPDATE", "DELETE", "DROP", "ALTER", "TRUNCATE"}}

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<place>\S+) TO ", re.IGNORECASE)


def rights_on(grants: Iterable[str], name: str) -> set[str]:
    """Return the rights that some grants give on the whole of a schema, ``ALL PRIVILEGES`` among them."""
    found: set[str] = set()
    for grant in grants:
        match = _GRANT.match(grant)
        if match and _covers(match["place"], name):
            found |= {right.strip().upper() for right in match["rights"].split(",")}
    return found


def _covers(place: str, name: str) -> bool:
    quoted, _, table = place.replace("`", "").rpartition(".")
    if table != "*":
        return False
    # In a grant, % and _ are wildcards unless a backslash stands before them.
    pattern = re.sub(
        r"\\(.)|(.)", lambda one: re.escape(one[1]) if one[1] else {"%": ".*", "_": "."}.get(one[2], re.escape(one[2])),
        quoted,
    )  # fmt: skip
    return quoted == "*" or re.fullmatch(pattern, name) is not None


def rights(world: World, server: Server) -> Iterator[Finding]:
    """The user has what its work needs, and cannot change what may only grow."""
    with world.mysql(conn_ids(world.settings)[server]) as connection:
        grants = [str(row[0]) for row in fetch(connection, "preflight/grants.sql")]
        ((own_schema,),) = fetch(connection, "downline/backup/current_schema.sql")
    roles = [grant for grant in grants if " ON " not in grant]
    for name, wanted in required_rights(server, str(own_schema)).items():
        held = rights_on(grants, name)
        missing = set() if {"ALL PRIVILEGES", "ALL"} & held else set(wanted) - held
        if missing and roles:
            yield warned(
                f"{name}: 未见 not seen {', '.join(sorted(missing))}; {listed(roles)}",
                "权限来自角色，这里看不到：核对角色的权限。"
                "Rights come from a role and cannot be seen here: check the role's.",
            )
        elif missing:
            yield failed(f"{name}: 缺少 missing {', '.join(sorted(missing))}", _GRANTS)
        elif too_many := _APPEND_ONLY.get(name, set()) & held or {"ALL PRIVILEGES", "ALL"} & held:
            yield warned(
                f"{name}: 过多 too many {', '.join(sorted(too_many))}",
                "收回：运行时用户不应能改结构或改审计。"
                "Revoke: the user of the run time should not change schemas or the audit.",
            )
        else:
            yield passed(f"{name}: {', '.join(wanted)}")


# --- tables --------------------------------------------------------------------------------------------------
def versions(world: World, server: Server) -> Iterator[Finding]:
    """No migration of the server's schema is pending."""
    with world.mysql(conn_ids(world.settings)[server]) as connection:
        found, wanted = schema.current(connection, server), schema.newest(server)
    if found is None or found < wanted:
        yield failed(f"版本 version {found or '无 none'}，应为 expected {wanted}", _POINTS_SCHEMA)
    elif found > wanted:
        yield failed(
            f"版本 version {found} 比代码新 is newer than the code ({wanted})",
            "部署与结构一致的版本。Deploy the version that the schema belongs to.",
        )
    else:
        yield passed(f"版本 version {found}")


def engines(world: World, server: Server) -> Iterator[Finding]:
    """Every table can be rolled back."""
    fine = 0
    with world.mysql(conn_ids(world.settings)[server]) as connection:
        ((own_schema,),) = fetch(connection, "downline/backup/current_schema.sql")
        for name in required_rights(server, str(own_schema)):
            for table, engine in fetch(connection, "preflight/engines.sql", {"schema_name": name}):
                if str(engine).casefold() == "innodb":
                    fine += 1
                    continue
                yield failed(
                    f"{name}.{table}: {engine}",
                    f"ALTER TABLE {name}.{table} ENGINE = InnoDB：{engine} 不能回滚。{engine} has no rollback.",
                )
    if fine:
        yield passed(f"InnoDB: {fine} 张表 tables")
    else:
        yield failed("没有 InnoDB 表 no table with InnoDB", _POINTS_SCHEMA)


def tables(world: World, server: Environment) -> Iterator[Finding]:
    """What has a name like a definition table's and is none is known to somebody."""
    with world.mysql(conn_ids(world.settings)[server]) as connection:
        found = [name for kind in definitions.TABLE_PATTERNS for name in definitions.tables(connection, kind)]
        yield passed(f"定义表 definition tables: {listed(found)}")
        for table, why in definitions.tables_left_alone(connection).items():
            if table not in get_policy().tables.left_alone:
                yield warned(
                    f"{table} {why}",
                    "其中有效的积分不会下线或清理。若是定义表，写入 tables.also，否则写入 tables.left_alone。"
                    "Points that are live in it are neither taken offline nor cleaned until "
                    "include/config/downline.yaml names it, under tables.also if it is a definition table, else under "
                    "tables.left_alone.",
                )


# --- statements ------------------------------------------------------------------------------------------------
#: Files that the schema's owner runs once, within migrations; their result is the version.
_MIGRATIONS = "schema/"
#: MySQL prepares no LOAD DATA (local_infile is checked), and a copy goes into a table that is created just before it
#: (the rights on its schema are checked).
_NOT_PREPARED = frozenset({"telemetry/push/load_stage.sql", "downline/backup/copy_rows.sql"})
#: Folders and files of the environments' servers; all others belong to the governance server.
_ENVIRONMENT = re.compile(
    r"definitions/|downline/(?:journal/|restore/|rows_of_ids|set_downline)"
    r"|downline/backup/(?:all_columns|checksum|copy_rows|create_like|current_schema|drop_table)"
    r"|pages/(?:definition_of_point|tags_of_point)|preflight/journal_environments"
)
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")


def files_of(server: Server) -> list[str]:
    """Return the statement files that run on a server, relative to ``include/sql/mysql``."""
    root = SQL_ROOT / "mysql"
    files = [path.relative_to(root).as_posix() for path in sorted(Path(root).rglob("*.sql"))]
    return [
        file
        for file in files
        if not file.startswith(_MIGRATIONS)
        and file not in _NOT_PREPARED
        and bool(_ENVIRONMENT.match(file)) == (server != "governance")
    ]


def as_prepared(text: str) -> str:
    """Return a statement with question marks for its parameters, as PREPARE takes it.

    A list (``IN %(ids)s``) becomes one of a single element: the driver writes the parentheses.
    """
    text = re.sub(r"\bIN\s+%\(\w+\)s", "IN (?)", text)
    return _PARAMETER.sub(lambda found: "?" if found[1] else "%", text)


def statements(world: World, server: Server) -> Iterator[Finding]:
    """MySQL prepares every statement: names, types and rights, without running it."""
    from MySQLdb import MySQLError

    problems: dict[str, str] = {}
    prepared = 0
    with world.mysql(conn_ids(world.settings)[server]) as connection, closing(connection.cursor()) as cursor:
        if (schema.current(connection, server) or "") < schema.newest(server):
            yield failed("未检查 not looked at: 结构版本 Schema version", _POINTS_SCHEMA)
            return
        if server == "governance":
            # Statements name the push's staging table; a temporary table is gone with this session.
            cursor.execute(statement("telemetry/push/create_stage.sql"))
        for file in files_of(server):
            for names in _identifiers(connection, server, file):
                for text in statements_of(statement(file, **names)):
                    try:
                        cursor.execute("PREPARE preflight FROM %s", (as_prepared(text),))
                        cursor.execute("DEALLOCATE PREPARE preflight")
                        prepared += 1
                    except MySQLError as error:
                        problems[f"{file} {names.get('table', '')}".strip()] = cause(error)
        connection.rollback()
    for reason, files in grouped(problems).items():
        yield failed(
            f"{listed(files)}: {reason}",
            f"缺表：{_POINTS_SCHEMA} 缺权限：{_GRANTS} By the reason: a missing table needs points_schema, a missing "
            "right a grant.",
        )
    if prepared:
        yield passed(f"预编译通过 {prepared} 条 statements prepared")


def _identifiers(connection: Any, server: Server, file: str) -> Iterator[Mapping[str, Identifiers]]:
    """Yield the identifiers that a file is rendered with: those of every definition table where it names one."""
    if server == "governance":
        yield {}
        return
    common = {"journal_schema": journal_schema(server)}
    text = (SQL_ROOT / "mysql" / file).read_text("utf-8")
    if "{{ table }}" not in text:
        yield common
        return
    ((own_schema,),) = fetch(connection, "downline/backup/current_schema.sql")
    kinds: tuple[definitions.Kind, ...] = ("point", "tag")
    if "live" in file or file.endswith("definition_of_point.sql"):
        kinds = ("point",)
    elif file.endswith(("tags.sql", "tags_of_point.sql")):
        kinds = ("tag",)
    for kind in kinds:
        for table in definitions.tables(connection, kind):
            # A backup is a table of another schema with the same columns: reading is tried on the original, writing
            # into the backups' schema with a name that is not there.
            here = {"schema": str(own_schema), "table": table}
            there = {"schema": backup_schema(server), "table": f"preflight_{table}"}
            yield {
                **common,
                **(there if file.endswith(("create_like.sql", "drop_table.sql")) else here),
                "source_schema": str(own_schema),
                "source_table": table,
                "kind": kind,
                "lock": "yes",
                "columns": definitions.identity_columns(connection, table),
            }


# --- both environments -----------------------------------------------------------------------------------------
def apart(world: World) -> Iterator[Finding]:
    """The two environments are different places."""
    seen = {name: _look_at(world, name) for name in ENVIRONMENTS}
    servers = {name: (one["host_name"], one["port_number"]) for name, one in seen.items()}
    schemas = {name: str(one["schema_name"]) for name, one in seen.items()}
    place = "; ".join(f"{name}: {servers[name][0]}:{servers[name][1]}/{schemas[name]}" for name in ENVIRONMENTS)
    if servers["intranet"] != servers["extranet"]:
        yield passed(place)
        return
    if schemas["intranet"] == schemas["extranet"]:
        yield failed(
            f"同一处 the same place: {place}",
            "两个连接指向同一个库：改正其中一个。Both connections lead to one schema: correct one of them.",
        )
    for kind, schema_of in (("backup", backup_schema), ("journal", journal_schema)):
        if schema_of("intranet") == schema_of("extranet"):
            yield failed(
                f"共用 shared {kind} schema {schema_of('intranet')}",
                f"同一台服务器时两个环境的 {kind} 库必须不同。On one server both need {kind} schemas of their own: "
                f"DRAWSGUARD_INTRANET_{kind.upper()}_SCHEMA.",
            )
    if schemas["intranet"] != schemas["extranet"]:
        yield passed(f"同一服务器的两个库 two schemas of one server: {place}")


def other(environment: Environment) -> Environment:
    """Return the other environment."""
    return "extranet" if environment == "intranet" else "intranet"


def right_way_round(world: World) -> Iterator[Finding]:
    """Neither connection leads to the other environment, by its schema's name and by its journal."""
    swapped, sure = [], set()
    for name in ENVIRONMENTS:
        schema_name = str(_look_at(world, name)["schema_name"])
        changes = _journal(world, name)
        if other(name) in schema_name and name not in schema_name:
            swapped.append(f"{conn_ids(world.settings)[name]} → {schema_name}")
        if other(name) in changes:
            swapped.append(
                f"{conn_ids(world.settings)[name]}: 日志里有 its journal has {changes[other(name)]} {other(name)}"
            )
        if name in schema_name or name in changes:
            sure.add(name)
    if swapped:
        yield failed(
            f"接反 swapped: {'; '.join(swapped)}",
            "对调连接 mysql_points_intranet 与 mysql_points_extranet。"
            "Exchange the connections mysql_points_intranet and "
            "mysql_points_extranet.",
        )
    elif len(sure) == len(ENVIRONMENTS):
        yield passed("库名或日志与环境一致 names or journals agree with the environments")
    else:
        yield warned(
            f"无从判断 cannot be seen: {listed(sorted(set(ENVIRONMENTS) - sure))}",
            "库名不含环境名、日志为空：人工核对主机。"
            "No environment in the schema's name and an empty journal: compare the "
            "hosts by hand.",
        )


def _journal(world: World, name: Environment) -> dict[str, int]:
    with world.mysql(conn_ids(world.settings)[name]) as connection:
        rows = fetch(connection, "preflight/journal_environments.sql", journal_schema=journal_schema(name))
    return {str(environment): int(changes) for environment, changes in rows}


def schema_owner(world: World, server: Server) -> Iterator[Finding]:
    """The user of points_schema can sign in and may change the schemas that it migrates."""
    conn_id = str(getattr(world.settings, f"{server}_schema_mysql_conn_id"))
    with world.mysql(conn_id) as connection:
        grants = [str(row[0]) for row in fetch(connection, "preflight/grants.sql")]
    names: Sequence[str] = tuple(required_rights("governance", ""))
    if server != "governance":
        names = (backup_schema(server), journal_schema(server))
    lacking = [
        name
        for name in names
        if not {"ALL PRIVILEGES", "ALL"} & (held := rights_on(grants, name)) and not {"CREATE", "ALTER", "DROP"} <= held
    ]
    if lacking:
        yield failed(f"{conn_id}: 无权改 may not change {', '.join(lacking)}", _GRANTS)
    else:
        yield passed(f"{conn_id}: {', '.join(names)}")


def _checks_of(server: Server) -> list[Check]:
    part = f"MySQL {server}"
    connection = (
        "检查该连接的主机、端口、用户、密码、库名。Correct the connection's host, port, user, password and schema."
    )
    return [
        Check(part, "answers", "可连接 Answers", partial(answers, server=server), connection),
        Check(part, "variables", "服务器设置 Settings", partial(variables, server=server), connection),
        Check(part, "clock", "时区与时钟 Zone and clock", partial(clock, server=server), connection),
        Check(part, "rights", "权限 Rights", partial(rights, server=server), _GRANTS),
        Check(part, "versions", "结构版本 Schema version", partial(versions, server=server), _POINTS_SCHEMA),
        Check(part, "engines", "存储引擎 Storage engines", partial(engines, server=server), _GRANTS),
        *(
            Check(part, "tables", "定义表 Definition tables", partial(tables, server=name), _GRANTS)
            for name in ENVIRONMENTS
            if name == server
        ),
        Check(part, "statements", "每条语句 Every statement", partial(statements, server=server), _GRANTS, seconds=120),
        Check(part, "schema_owner", "结构用户 User of points_schema", partial(schema_owner, server=server), _GRANTS),
    ]


_BOTH = "MySQL intranet + extranet"
_SWAP = (
    "检查连接 mysql_points_intranet 与 mysql_points_extranet。Look at mysql_points_intranet and mysql_points_extranet."
)
CHECKS = (
    *(check for server in SERVERS for check in _checks_of(server)),
    Check(_BOTH, "apart", "两个环境不同 Two places", apart, _SWAP),
    Check(_BOTH, "right_way_round", "没有接反 The right way round", right_way_round, _SWAP),
)
