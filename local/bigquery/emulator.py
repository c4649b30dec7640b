"""The BigQuery emulator with partitions, translating each text once and computing fingerprints in the engine.

What BigQuery tells of partitions free of charge, the emulator has not: ``table$20261129`` is one day of a table, and
``table$__PARTITIONS_SUMMARY__`` lists the days with the time of their last change. That time is not kept anywhere:
whoever asks is told when the rows were first seen to be what they are.

On its way through the emulator a statement is parsed again for every rewrite, and the same statements come every
minute; this was most of the emulator's processor time. A fingerprint was computed in Python, row by row (0.2 ms).
What BigQuery does free of charge and the emulator lacks is added: metadata that tell of changes, rows of a partition.
Runs in the emulator's own environment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fastapi.routing
from bqemulator import server
from bqemulator.api.routes import tabledata, upload
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.cli import main
from bqemulator.domain.errors import AlreadyExistsError
from bqemulator.domain.events import TableDataChanged
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.sql import inner_query
from bqemulator.sql.rules.misc_helpers import FarmFingerprintRule
from bqemulator.sql.translator import SQLTranslator
from bqemulator.storage.arrow_bridge import arrow_table_to_bq_rows
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.versioning.snapshots import SnapshotManager
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

#: Texts whose trees and translations are kept: the statements of the project, each in the few forms that the emulator
#: makes of it.
REMEMBERED = 1024

#: Metadata have milliseconds.
MOMENT = timedelta(milliseconds=1)

#: How long BigQuery remembers an ``insertId``, at least.
INSERT_ID_SECONDS = 60


def parse_each_text_once() -> None:
    """Have sqlglot answer a text that it has parsed with copies of the trees: its callers change what they get."""
    parse = Dialect.parse
    trees = lru_cache(REMEMBERED)(lambda dialect, _settings, sql: parse(dialect, sql))

    def remembered(dialect: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:
            return parse(dialect, sql, **options)
        return [tree and tree.copy() for tree in trees(dialect, repr(dialect.settings), sql)]

    Dialect.parse = remembered  # type: ignore[method-assign, assignment]


def compute_fingerprints_in_the_engine() -> None:
    """Have ``FARM_FINGERPRINT`` be DuckDB's own hash: other numbers than BigQuery's, and nothing stores them."""

    def rewrite(_rule: FarmFingerprintRule, node: exp.Expression) -> exp.Expression:
        text = node.expressions[0]
        # 63 of the 64 bits, since the hash is unsigned.
        bits = exp.cast(exp.BitwiseRightShift(this=exp.func("hash", text.copy()), expression=exp.convert(1)), "BIGINT")
        return exp.If(this=exp.Is(this=text.copy(), expression=exp.null()), true=exp.null(), false=bits)

    FarmFingerprintRule.rewrite = rewrite


def once_for_each(key: Callable[..., Hashable], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its newest results kept, each for what ``key`` makes of the arguments.

    :param function: one whose result follows from that alone, and is not changed by its callers.
    """
    kept: dict[Hashable, Any] = {}

    def remembered(*arguments: Any, **keywords: Any) -> Any:
        name = key(*arguments, **keywords)
        if name not in kept:
            result = function(*arguments, **keywords)
            if len(kept) >= REMEMBERED:
                del kept[next(iter(kept))]
            kept[name] = result
        return kept[name]

    return remembered


def translate_each_text_once() -> None:
    """Keep a text's translation (for the columns of its tables and its caller) and what else follows from it alone."""
    SQLTranslator.translate = once_for_each(
        lambda _translator, sql, *, schema=None, caller=None: (sql, repr(schema), caller), SQLTranslator.translate
    )
    refer = once_for_each(lambda sql, project: (sql, project), executor.rewrite_table_refs)
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = refer
    executor.classify_statement_type = once_for_each(lambda sql: sql, executor.classify_statement_type)
    inner_query.rewrite_unnest_offset = once_for_each(lambda sql: sql, inner_query.rewrite_unnest_offset)


def look_for_ddl_only_where_it_is() -> None:
    """Have a statement that cannot create or drop anything spared the five parses that look for it."""

    def if_in_the_text(word: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda sql, *rest: function(sql, *rest) if word in sql.upper() else None

    for kind in ("schema", "table", "view"):
        name = f"sync_created_{kind}"
        setattr(executor, name, if_in_the_text("CREATE", getattr(executor, name)))
    for name in ("sync_dropped_object", "detect_drop_routine"):
        setattr(executor, name, if_in_the_text("DROP", getattr(executor, name)))


def keep_no_past() -> None:
    """Keep neither a copy of each table after every change (no statement asks for an earlier state) nor old jobs.

    A change is told in the table's metadata, as BigQuery does: rows, and the time of the last change.
    """

    def tell(manager: SnapshotManager, *table: str) -> None:
        meta = manager._catalog.get_table(*table)
        if meta is not None:
            (rows,) = manager._engine.execute(f"SELECT COUNT(*) FROM {quoted_table_ref(*table)}").fetchone() or (0,)  # noqa: S608
            changed = {"num_rows": rows, "last_modified_time": max(datetime.now(UTC), meta.last_modified_time + MOMENT)}
            manager._catalog.update_table(meta.model_copy(update=changed))
        manager._events.publish(TableDataChanged(*table))

    SnapshotManager.record_change = tell
    DuckDBCatalogRepository._write_job = lambda _repository, _job: None


def know_the_partition() -> None:
    """Have a table that is partitioned by the date of a column say which column that is."""
    named = ddl_sync._ddl_partition_field

    def field(properties: exp.Properties) -> str | None:
        dates = (part.this for part in properties.expressions if isinstance(part, exp.PartitionedByProperty))
        columns = (column for date in dates for column in date.find_all(exp.Identifier))
        return named(properties) or next((column.name for column in columns), None)

    ddl_sync._ddl_partition_field = field


def stream_each_id_once() -> None:
    """Have `tabledata.insertAll` leave out rows whose ``insertId`` the table had within the last minute."""
    stream = tabledata.insert_all
    path = "/projects/{project_id}/datasets/{dataset_id}/tables/{table_id}/insertAll"
    known: dict[tuple[str, ...], float] = {}
    tabledata.router.routes[:] = [
        route for route in tabledata.router.routes if getattr(route, "endpoint", None) is not stream
    ]

    async def streamed(
        project_id: str, dataset_id: str, table_id: str, request: Request, ctx: tabledata._Ctx
    ) -> dict[str, Any]:
        body, now = await request.json(), time.monotonic()
        fresh = []
        for row in body.get("rows", []):
            key = (project_id, dataset_id, table_id, str(row.get("insertId")))
            if row.get("insertId") is None or now - known.get(key, -INSERT_ID_SECONDS) >= INSERT_ID_SECONDS:
                fresh.append(row)
                known[key] = now
        body["rows"] = fresh  # the request keeps what it parsed
        answer: dict[str, Any] = await stream(project_id, dataset_id, table_id, request, ctx)
        return answer

    tabledata.router.add_api_route(path, streamed, methods=["POST"])


#: Where a load's configuration keeps the job id that the client asked for, until it runs.
_JOB_ID = "job id"


def load_each_job_once() -> None:
    """Take loads as the client library sends them: its rows are ``*/*``, and a job id that was used is refused."""
    permitted, configured = upload._is_permitted_media_type, upload._load_configuration_from_envelope
    new_id, run = upload._new_job_id, upload._run_load
    wanted: dict[str, str | None] = {}

    def remembered(envelope: dict[str, Any]) -> dict[str, Any]:
        # With its configuration: an upload in pieces comes back for it when others have begun.
        configuration: dict[str, Any] = configured(envelope)
        return configuration | {_JOB_ID: (envelope.get("jobReference") or {}).get("jobId")}

    async def once(*, project_id: str, ctx: Any, configuration: dict[str, Any], **named: Any) -> Any:
        job_id = configuration[_JOB_ID]
        if job_id and ctx.catalog.get_job(project_id, job_id) is not None:
            raise AlreadyExistsError(f"Already Exists: Job {project_id}:{job_id}")
        configuration = {name: value for name, value in configuration.items() if name != _JOB_ID}
        wanted["id"] = job_id  # nothing is awaited until it is asked for
        return await run(project_id=project_id, ctx=ctx, configuration=configuration, **named)

    vars(upload).update(
        _is_permitted_media_type=lambda media_type: media_type == "*/*" or permitted(media_type),
        _load_configuration_from_envelope=remembered,
        _new_job_id=lambda: wanted["id"] or new_id(),
        _run_load=once,
    )


def answer_one_at_a_time() -> None:
    """Answer every request on the event loop. All share one connection, whose next statement takes the result of the
    one before: a table that was listed in a thread beside a job came with the job's rows.
    """

    async def here(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    vars(fastapi.routing)["run_in_threadpool"] = here


_PATH = re.compile(r"/bigquery/v2/projects/([\w-]+)/datasets/(\w+)/tables/(\w+)\$(\w+)/data")
_SUMMARY = "__PARTITIONS_SUMMARY__"
_COLUMN = re.compile(r"\w+")

#: The emulator forgets by what a table is partitioned; the project's schema says it.
_SCHEMA = Path(__file__).parents[2] / "include" / "sql" / "bigquery" / "schema"
_PARTITIONED = re.compile(
    r"CREATE TABLE IF NOT EXISTS `[^`]*\.(\w+)`(?:(?!CREATE ).)*?PARTITION BY DATE\((\w+)\)", re.DOTALL
)

#: Table → partition → (count and fingerprint of its rows, time of its last change in milliseconds).
Seen = dict[str, dict[str, tuple[tuple[int, int], int]]]


class Partitions:
    """Answers for the partitions of one emulator's tables."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._seen: Seen = {}
        self._columns = dict(
            found for path in _SCHEMA.glob("V*.sql") for found in _PARTITIONED.findall(path.read_text("utf-8"))
        )

    def answer(self, project: str, dataset: str, table: str, partition: str, query: dict[str, str]) -> Response:
        if self._context.catalog.get_table(project, dataset, table) is None or table not in self._columns:
            error = {"code": 404, "message": f"Not found: partitions of {dataset}.{table}", "errors": []}
            return JSONResponse({"error": error}, 404)
        name, column = f'"{project}__{dataset}"."{table}"', f'"{self._columns[table]}"'
        if partition == _SUMMARY:
            rows = [{"f": [{"v": day}, {"v": str(changed)}]} for day, changed in self._changes(name, column)]
            return self._page(rows, len(rows), 0)
        begin, size = int(query.get("pageToken") or query.get("startIndex") or 0), int(query.get("maxResults") or 10000)
        columns = ", ".join(f'"{each}"' for each in _COLUMN.findall(query.get("selectedFields", ""))) or "*"
        rows_of = f"FROM {name} WHERE strftime({column}, '%Y%m%d') = '{partition}'"
        (total,) = self._context.engine.execute(f"SELECT COUNT(*) {rows_of}").fetchone()
        page = self._context.engine.fetch_arrow(f"SELECT {columns} {rows_of} LIMIT {size} OFFSET {begin}")
        return self._page(arrow_table_to_bq_rows(page), total, begin)

    @staticmethod
    def _page(rows: list[Any], total: int, begin: int) -> Response:
        body = {"kind": "bigquery#tableDataList", "totalRows": str(total), "rows": rows}
        if begin + len(rows) < total:
            body["pageToken"] = str(begin + len(rows))
        return JSONResponse(body)

    def _changes(self, name: str, column: str) -> list[tuple[str, int]]:
        day = f"strftime({column}, '%Y%m%d')"
        found = self._context.engine.execute(
            f"SELECT {day}, COUNT(*), bit_xor(hash(each)) FROM {name} AS each GROUP BY 1 ORDER BY 1"  # noqa: S608
        ).fetchall()
        before = self._seen.get(name, {})
        now = max([time.time_ns() // 1_000_000, *(changed + 1 for _, changed in before.values())])
        rows = {partition or "__NULL__": (count, fingerprint) for partition, count, fingerprint in found}
        self._seen[name] = {
            partition: before[partition] if before.get(partition, (None,))[0] == is_now else (is_now, now)
            for partition, is_now in rows.items()
        }
        return [(partition, changed) for partition, (_, changed) in self._seen[name].items()]


def serve_partitions() -> None:
    """Have the emulator's application answer for partitions before anything else does."""
    make = server.create_app

    def create_app(context: Any) -> Any:
        application, partitions = make(context), Partitions(context)

        async def answer(request: Request, go_on: Any) -> Any:
            asked = _PATH.fullmatch(unquote(request.url.path)) if request.method == "GET" else None
            if asked is None:
                return await go_on(request)
            project, dataset, table, partition = asked.groups()
            query = dict(request.query_params)
            return partitions.answer(project, dataset, table, partition, query)

        application.middleware("http")(answer)
        return application

    server.create_app = create_app


if __name__ == "__main__":
    parse_each_text_once()
    compute_fingerprints_in_the_engine()
    translate_each_text_once()
    look_for_ddl_only_where_it_is()
    keep_no_past()
    know_the_partition()
    stream_each_id_once()
    load_each_job_once()
    answer_one_at_a_time()
    serve_partitions()
    main()
