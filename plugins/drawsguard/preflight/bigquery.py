"""BigQuery: rights, location, tables, and a dry run of every statement with the types that the code binds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud.bigquery import Client, QueryJobConfig, Table

from drawsguard.preflight.model import Check, Finding, World, failed, grouped, listed, passed, warned
from drawsguard.preflight.run import cause
from drawsguard.settings import Settings
from drawsguard.sql import SQL_ROOT, render
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.job_configuration import FOLDER
from drawsguard.warehouse.limits import ROUTINE
from drawsguard.warehouse.migrations import load, pending
from drawsguard.warehouse.runner import StatementRunner

PART = "BigQuery"

#: How each statement is called: its identifiers and the types of its parameters, as the REST API states them. Recorded
#: from the code; tests/sql/analyzer/test_bindings.py fails when it is stale, and writes it.
BINDINGS = Path(__file__).with_name("bigquery_bindings.json")

PROJECT_RIGHTS = ("bigquery.jobs.create",)
#: Only the weekly audit's costs need it.
AUDIT_RIGHTS = ("bigquery.jobs.listAll",)
TABLE_RIGHTS = (
    "bigquery.tables.get",
    "bigquery.tables.getData",
    "bigquery.tables.update",
    "bigquery.tables.updateData",
)

_SCHEMA = "触发 DAG warehouse_schema 后重查。Trigger the DAG warehouse_schema, then check again."
_GRANT = (
    "给服务账号授权：项目 roles/bigquery.jobUser，三个数据集 roles/bigquery.dataEditor。Grant the service account "
    "roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on the three datasets."
)
_CONNECTION = (
    "检查连接 google_cloud_default（项目、凭据）与 DRAWSGUARD_PROJECT。Correct the connection google_cloud_default "
    "(project, credentials) and DRAWSGUARD_PROJECT."
)
_STATEMENT = (
    "按原因处理：缺表或缺列触发 warehouse_schema，缺权限找管理员，其余是语句的错误。By the reason: a missing table or "
    "column needs warehouse_schema, a missing right the administrator; anything else is a fault of the statement."
)


def datasets(settings: Settings) -> tuple[str, ...]:
    """Return the datasets of the pipeline."""
    return settings.source_dataset, settings.target_dataset, settings.monitor_dataset


def answers(world: World) -> Iterator[Finding]:
    """A query runs to its end."""
    StatementRunner(world.warehouse(), "preflight", "preflight", ROUTINE).run("monitoring/ping.sql")
    if world.bigquery_emulator:
        yield warned(
            f"模拟器 emulator at {world.bigquery_emulator}",
            "模拟器比 BigQuery 宽松，投产前对真实项目重查。The emulator is laxer than BigQuery: check again against "
            "the real project before production.",
        )
    else:
        yield passed(f"项目 project {world.settings.project}")


def location(world: World) -> Iterator[Finding]:
    """Every dataset is where the jobs run; BigQuery does not find it from another location."""
    wanted = world.settings.location
    for name in datasets(world.settings):
        try:
            found = str(world.warehouse().get_dataset(name, timeout=20).location)
        except NotFound:
            yield failed(f"数据集不存在 no dataset {name}", _SCHEMA)
            continue
        if found.casefold() == wanted.casefold():
            yield passed(f"{name}: {found}")
        elif world.bigquery_emulator:
            yield warned(f"{name}: {found}", "模拟器不记位置。The emulator keeps no location.")
        else:
            yield failed(
                f"{name}: {found}，应为 expected {wanted}",
                f"把 DRAWSGUARD_LOCATION 设为 {found}，或在 {wanted} 重建数据集。Set DRAWSGUARD_LOCATION to {found}, "
                f"or create the dataset in {wanted}.",
            )


def project_rights(world: World) -> Iterator[Finding]:
    """The account may run jobs, and see those of others for the audit."""
    settings = world.settings
    wanted = [*PROJECT_RIGHTS, *AUDIT_RIGHTS]
    answer = world.google().call(
        "POST",
        f"{settings.resource_manager_url}/v3/projects/{settings.project}:testIamPermissions",
        {"permissions": wanted},
    )
    if not answer.ok:
        yield warned(
            f"无法询问 cannot be asked: {answer.describe()}",
            "开启 Cloud Resource Manager API 后重查。Enable the Cloud Resource Manager API, then check again.",
        )
        return
    granted = set(answer.body.get("permissions", []))
    if missing := set(PROJECT_RIGHTS) - granted:
        yield failed(f"缺少 missing {', '.join(sorted(missing))}", _GRANT)
    elif set(AUDIT_RIGHTS) - granted:
        yield warned(
            f"缺少 missing {', '.join(AUDIT_RIGHTS)}",
            "每周审计没有费用：授予 roles/bigquery.resourceViewer。The weekly audit has no costs: grant "
            "roles/bigquery.resourceViewer.",
        )
    else:
        yield passed(", ".join(wanted))


def table_rights(world: World) -> Iterator[Finding]:
    """The account may read and change the tables of each dataset (their rights come from the dataset)."""
    client = world.warehouse()
    for dataset in datasets(world.settings):
        tables = [one.name for one in expected_tables(world.settings) if one.dataset == dataset]
        table = next((found for name in tables if (found := _table(client, f"{dataset}.{name}"))), None)
        if table is None:
            yield failed(f"{dataset} 没有表 has no table yet", _SCHEMA)
            continue
        try:
            answer = client.test_iam_permissions(table.reference, TABLE_RIGHTS, timeout=20)
        except GoogleAPICallError as error:
            if not world.bigquery_emulator:
                raise
            yield warned(f"{dataset}: {cause(error)}", "模拟器没有权限。The emulator knows no rights.")
            continue
        if missing := set(TABLE_RIGHTS) - set(answer.get("permissions", [])):
            yield failed(f"{dataset}: 缺少 missing {', '.join(sorted(missing))}", _GRANT)
        else:
            yield passed(f"{dataset}: {', '.join(TABLE_RIGHTS)}")


def migrations(world: World) -> Iterator[Finding]:
    """No migration of the schema is pending."""
    runner = StatementRunner(world.warehouse(), "preflight", "preflight", ROUTINE)
    try:
        rows = runner.rows("schema/applied_migrations.sql")
    except StatementError as error:
        if not error.not_found:
            raise
        rows = []
    todo = pending(load(), {row["version"]: row["checksum"] for row in rows})
    if todo:
        yield failed(f"待应用 pending {len(todo)}: {listed([one.name for one in todo])}", _SCHEMA)
    else:
        yield passed(f"已应用 applied {len(rows)}")


@dataclass(frozen=True)
class ExpectedTable:
    """A table as the schema files make it: type by column, as the API names types, with ``[]`` where it repeats."""

    dataset: str
    name: str
    columns: Mapping[str, str]
    required: frozenset[str]
    partitioned: bool


def tables(world: World) -> Iterator[Finding]:
    """Tables that exist already have the columns, types and partitions that the statements rely on."""
    client, fine = world.warehouse(), 0
    for expected in expected_tables(world.settings):
        table = _table(client, f"{expected.dataset}.{expected.name}")
        name = f"{expected.dataset}.{expected.name}"
        if table is None:
            yield failed(f"不存在 missing: {name}", _SCHEMA)
        elif (problems := list(differences(expected, table))) == [NOT_PARTITIONED] and world.bigquery_emulator:
            yield warned(f"{name}: {NOT_PARTITIONED}", "模拟器丢失分区信息。The emulator loses partitions.")
        elif problems:
            yield failed(
                f"{name}: {'; '.join(problems)}",
                "已有旧表：按 docs 用 draw_history_migration 迁移，或改表。A table from before: migrate it with "
                "draw_history_migration, or alter it.",
            )
        elif nullable := sorted(expected.required & {one.name for one in table.schema if one.mode == "NULLABLE"}):
            yield warned(
                f"{name}: 可为空 nullable {', '.join(nullable)}",
                "旧行可能有空值，迁移前清点。Rows from before may hold NULLs: count them before the migration.",
            )
        else:
            fine += 1
    if fine:
        yield passed(f"{fine} 张表符合 tables as expected")


NOT_PARTITIONED = "没有分区 not partitioned"


def differences(expected: ExpectedTable, table: Table) -> Iterator[str]:
    """Yield what a table lacks, in words."""
    found = {one.name: one.field_type + ("[]" if one.mode == "REPEATED" else "") for one in table.schema}
    for column, kind in expected.columns.items():
        if column not in found:
            yield f"缺列 no column {column}"
        elif found[column] != kind:
            yield f"{column} 是 is {found[column]}，应为 expected {kind}"
    if expected.partitioned and table.time_partitioning is None and table.range_partitioning is None:
        yield NOT_PARTITIONED


def _table(client: Client, name: str) -> Table | None:
    try:
        return client.get_table(name, timeout=20)
    except NotFound:
        return None


_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS `[^`]+\.(?P<dataset>[^`.]+)\.(?P<name>[^`.]+)` \(")
_COLUMN = re.compile(r"(?P<name>\w+)\s+(?P<type>\w+(?:<.*>)?)(?P<required>\s+NOT\s+NULL)?", re.DOTALL)
_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def expected_tables(settings: Settings) -> tuple[ExpectedTable, ...]:
    """Return the tables of the schema files under the datasets of the settings."""
    return _expected_tables(settings.project, *datasets(settings))


@lru_cache(maxsize=4)
def _expected_tables(*_names: str) -> tuple[ExpectedTable, ...]:
    files = sorted((SQL_ROOT / FOLDER / "schema").glob("V*.sql"))
    found: dict[tuple[str, str], ExpectedTable] = {}
    for file in ["bootstrap.sql", *(path.name for path in files)]:
        for statement in _split(render(f"{FOLDER}/schema/{file}")):
            if create := _CREATE.search(statement):
                table = _expected(create["dataset"], create["name"], statement[create.end() :])
                found.setdefault((table.dataset, table.name), table)
    return tuple(found.values())


def _expected(dataset: str, name: str, text: str) -> ExpectedTable:
    *columns, rest = _top_level(text)
    matches = [match for column in columns if (match := _COLUMN.match(column.strip()))]
    return ExpectedTable(
        dataset,
        name,
        {match["name"]: _api_type(match["type"]) for match in matches},
        frozenset(match["name"] for match in matches if match["required"]),
        "PARTITION BY" in rest,
    )


def _api_type(declared: str) -> str:
    if declared.startswith("ARRAY<"):
        return f"{_api_type(declared[len('ARRAY<') : -1])}[]"
    bare = declared.split("<", 1)[0]
    return _NAMES.get(bare, bare)


def _top_level(text: str) -> list[str]:
    """Return the columns of a CREATE TABLE, and what stands behind their closing parenthesis."""
    parts: list[str] = []
    begin, depth, quoted = 0, 0, False
    for position, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "(<":
            depth += 1
        elif not quoted and letter in ")>":
            depth -= 1
            if depth < 0:
                return [*parts, text[begin:position], text[position + 1 :]]
        elif not quoted and letter == "," and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    raise ValueError(f"no end of the columns: {text[:80]}")


# --- dry runs ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Call:
    """A statement as the code calls it."""

    file: str
    identifiers: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]

    def texts(self, settings: Settings) -> list[str]:
        """Return its statements, rendered."""
        names = {
            name: getattr(settings, value[1:]) if isinstance(value, str) and value.startswith("$") else value
            for name, value in self.identifiers.items()
        }
        return _split(render(f"{FOLDER}/{self.file}", **names))

    def config(self) -> QueryJobConfig:
        """Return the configuration of a dry run, with a value of each parameter's type."""
        parameters = [
            {"name": name, "parameterType": kind, "parameterValue": _value(kind)}
            for name, kind in self.parameters.items()
        ]
        query = {"query": {"useLegacySql": False, "queryParameters": parameters}, "dryRun": True}
        config: QueryJobConfig = QueryJobConfig.from_api_repr(query)  # type: ignore[assignment]
        return config


#: A value of each type; a dry run reads its type only.
_VALUES = {
    "INT64": "1",
    "FLOAT64": "1.0",
    "NUMERIC": "1",
    "BOOL": "true",
    "STRING": "UTC",  # also where a time zone is expected
    "BYTES": "",
    "TIMESTAMP": "2026-01-01 00:00:00+00:00",
    "DATE": "2026-01-01",
}


def _value(kind: Mapping[str, Any]) -> dict[str, Any]:
    if kind["type"] == "ARRAY":
        return {"arrayValues": []}
    return {"value": _VALUES[kind["type"]]}


def calls() -> list[Call]:
    """Return every call of every statement."""
    recorded = json.loads(BINDINGS.read_text("utf-8"))
    return [Call(file, one["identifiers"], one["parameters"]) for file, ways in recorded.items() for one in ways]


def _split(text: str) -> list[str]:
    return [statement for statement in re.split(r";\s*(?:\n|\Z)", text) if statement.strip()]


_READS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(SELECT|WITH)\b", re.IGNORECASE)


def statements(world: World) -> Iterable[Finding]:
    """BigQuery accepts every statement: names, types and rights of the account."""
    client, settings = world.warehouse(), world.settings
    todo = [(call, text) for call in calls() for text in call.texts(settings)]
    unjudged: list[str] = []
    if world.bigquery_emulator:
        # It would run what it does not recognise as a change, and has no INFORMATION_SCHEMA of a region.
        every, todo = todo, [(call, text) for call, text in todo if _READS.match(text) and ".JOBS" not in text]
        unjudged = [one[0].file for one in every if one not in todo]

    def refused(one: tuple[Call, str]) -> tuple[str, Exception] | None:
        call, text = one
        try:
            client.query(text, job_config=call.config(), location=settings.location, job_retry=None, timeout=30)
        except GoogleAPICallError as error:
            return call.file, error
        return None

    with ThreadPoolExecutor(8) as pool:
        problems = dict(filter(None, pool.map(refused, todo)))
    missing = [file for file, error in problems.items() if isinstance(error, NotFound)]
    migrating = [file for file in missing if file.startswith("history/")]
    if unmade := [file for file in missing if file not in migrating]:
        yield failed(f"缺表 tables are missing: {listed(unmade)}: {cause(problems[unmade[0]])}", _SCHEMA)
    refusals = {file: cause(error) for file, error in problems.items() if file not in missing}
    for reason, files in grouped(refusals).items():
        yield failed(f"{listed(files)}: {reason}", _STATEMENT)
    if migrating:
        yield warned(
            f"{listed(migrating)}: 表只在历史迁移期间存在 the tables exist during a migration of the history only",
            "做 draw_history_migration 的 prepare 之后重查。Check again after draw_history_migration has prepared.",
        )
    if unjudged:
        yield warned(
            f"{len(unjudged)} 条未判断 statements were not judged: {listed(unjudged, most=3)}",
            "模拟器不做写语句的试运行，也没有 INFORMATION_SCHEMA.JOBS。The emulator dry-runs no statement that changes "
            "something, and has no INFORMATION_SCHEMA.JOBS.",
        )
    if len(todo) > len(problems):
        yield passed(f"试运行通过 {len(todo) - len(problems)} 条 statements accepted in a dry run")


CHECKS = (
    Check(PART, "answers", "可连接 Answers", answers, _CONNECTION),
    Check(PART, "location", "数据集位置 Location", location, _CONNECTION),
    Check(PART, "project_rights", "项目权限 Rights on the project", project_rights, _GRANT),
    Check(PART, "table_rights", "数据集权限 Rights on the datasets", table_rights, _GRANT),
    Check(PART, "migrations", "结构迁移 Migrations", migrations, _SCHEMA),
    Check(PART, "tables", "已有表 Existing tables", tables, _SCHEMA, seconds=60),
    Check(PART, "statements", "每条语句 Every statement", statements, _STATEMENT, seconds=300),
)
