"""Our push against the provider's HiveToMySqlOperator in both of its modes, and against a plain LOAD DATA as the limit.

Every contender runs in a process of its own, into the same table, from the same Hive table. Both ends have been
connected to once before it is timed, as in a worker, which imports the providers before it forks. Memory is the
growth of the resident set since the start of the work.
"""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import window_of
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import HiveSource, statements
from drawsguard.points.telemetry.push_guard import batch_id_of
from local.config import Config
from local.stack import Stack

WINDOW = window_of(date(2024, 7, 31), 180)
BATCH_ID = batch_id_of("window", WINDOW)
RUN_ID, STARTED = "bench", datetime(2024, 7, 31, tzinfo=UTC)
TABLE = "ads_evt_ops_status_ago"
SIZES = (20_000, 1_000_000)

#: What the provider is asked to do: the same rows, replacing the same batch.
_SELECT = f"SELECT '{BATCH_ID}', oper_type, oper_ts, eid FROM cma.ads_evt_ops_status WHERE flow = 'window'"
_DELETE = f"DELETE FROM {TABLE} WHERE batch_id = '{BATCH_ID}'"


def run(sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Measure each size and return the results (rows a second, megabytes)."""
    config = Config.from_environment()
    Stack(config).up(["hive", "mysql"])
    os.environ.update(config.airflow_environment())
    results = []
    for rows in sizes:
        _fill_hive(rows)
        measured = {work.__name__: _in_a_process(work, rows) for work in (ours, rows_mode, bulk_mode, load_data)}
        results += _compared(rows, measured)
    return results


def _compared(rows: int, measured: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    size = "1m" if rows == 1_000_000 else f"{rows // 1000}k"
    speed = {name: round(rows / seconds) for name, (seconds, _) in measured.items()}
    megabytes = {name: round(grown, 1) for name, (_, grown) in measured.items()}

    def speeds(name: str, other: str, what: str) -> dict[str, Any]:
        ratio = round(speed["ours"] / speed[other], 2)
        return {
            "name": name,
            "ours": speed["ours"],
            "alternative": speed[other],
            "ratio": ratio,
            "unit": "rows/s",
            "what": what,
        }

    return [
        speeds(
            f"push_vs_provider_{size}",
            "rows_mode",
            "streamed push against HiveToMySqlOperator, row by row (its default)",
        ),
        speeds(
            f"push_vs_provider_bulk_{size}", "bulk_mode", "streamed push against HiveToMySqlOperator with bulk_load"
        ),
        speeds(
            f"push_vs_load_data_{size}",
            "load_data",
            "streamed push with staging, ledger and checksums, against LOAD DATA of a file that is there: the limit",
        ),
        {
            "name": f"push_peak_mb_{size}",
            "ours": megabytes["ours"],
            "alternative": megabytes["rows_mode"],
            "ratio": round(megabytes["rows_mode"] / max(0.1, megabytes["ours"]), 1),
            "unit": "MB",
            "what": f"growth of resident memory during the push, against the provider's default mode "
            f"(its bulk mode: {megabytes['bulk_mode']} MB)",
        },
    ]


# --- the contenders: each returns after its rows are committed --------------------------------------
def ours(_: int) -> Callable[[], Any]:
    from operators.points.telemetry.hive_to_mysql_operator import HiveToMySqlStreamOperator

    operator = HiveToMySqlStreamOperator(task_id="ours", flow="window", window=WINDOW.texts())
    with closing(_mysql()) as connection:
        EvidenceRepository(connection).log_decision(BATCH_ID, RUN_ID, "before", "push")
    return lambda: operator.execute(_context())


def rows_mode(_: int) -> Callable[[], Any]:
    return _provider(bulk_load=False)


def bulk_mode(_: int) -> Callable[[], Any]:
    return _provider(bulk_load=True)


def _provider(*, bulk_load: bool) -> Callable[[], Any]:
    from airflow.providers.apache.hive.transfers.hive_to_mysql import HiveToMySqlOperator

    operator = HiveToMySqlOperator(
        task_id="provider", sql=_SELECT, mysql_table=TABLE, mysql_preoperator=_DELETE, bulk_load=bulk_load
    )
    return lambda: operator.execute(_context())


def load_data(_: int) -> Callable[[], Any]:
    from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook

    folder = Path(tempfile.mkdtemp(prefix="push_bench_"))
    file = folder / "rows.tsv"
    with closing(HiveServer2Hook().get_conn()) as hive, file.open("wb") as out:
        for chunk in HiveSource(hive, "window").chunks(points_config().push.chunk_rows):
            out.writelines(f"{BATCH_ID}\t".encode() + line + b"\n" for line in chunk.lines.splitlines())

    def load() -> None:
        with closing(_mysql()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(_DELETE)
            cursor.execute(
                f"LOAD DATA LOCAL INFILE %s INTO TABLE {TABLE} (batch_id, oper_type, oper_ts, eid)", [str(file)]
            )
            connection.commit()
        file.unlink()
        folder.rmdir()

    return load


# --- around them ------------------------------------------------------------------------------------
def _fill_hive(rows: int) -> None:
    from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook

    with closing(HiveServer2Hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
        for statement in statements("schema/points_tables.sql"):
            cursor.execute(statement)
        cursor.execute(
            "INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'window') "
            "SELECT '2024-07-30 23:59:00', concat('que_eid_', CAST(id AS STRING)), id * 7 FROM "
            "(SELECT explode(sequence(1L, CAST(%(rows)s AS BIGINT))) AS id) ids",
            {"rows": rows},
        )
        (stamp,) = statements("telemetry/push/stamp_build.sql")
        cursor.execute(stamp, WINDOW.texts() | {"flow": "window"})
        # The engine compiles its first queries; the first contender would pay for all.
        cursor.execute(_SELECT)
        cursor.fetchall()
        for _ in HiveSource(connection, "window").chunks(points_config().push.chunk_rows):
            pass


def _mysql(conn_id: str = "mysql_default") -> Any:
    from airflow.providers.mysql.hooks.mysql import MySqlHook

    return MySqlHook(conn_id, local_infile=True).get_conn()


def _in_a_process(work: Callable[[int], Callable[[], Any]], rows: int) -> tuple[float, float]:
    """Return seconds and megabytes of growth; asserts that every row arrived."""
    with closing(_mysql("mysql_schema_governance")) as connection, closing(connection.cursor()) as cursor:
        # A fresh table, so that no contender pays for the rows of the one before.
        cursor.execute(f"TRUNCATE TABLE {TABLE}")
        cursor.execute("DELETE FROM evidence_batch")
        connection.commit()
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_timed, args=(work, rows, sender))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{work.__name__} failed"
    with closing(_mysql()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT COUNT(*), SUM(eid) FROM {TABLE} WHERE batch_id = '{BATCH_ID}'")
        found = tuple(int(value) for value in cursor.fetchone())
    assert found == (rows, 7 * rows * (rows + 1) // 2), f"{work.__name__}: {found}"
    seconds, grown = receiver.recv()
    return seconds, grown


def _timed(work: Callable[[int], Callable[[], Any]], rows: int, sender: Any) -> None:
    import logging

    from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook

    logging.disable(logging.WARNING)
    for connection in (HiveServer2Hook().get_conn(), _mysql()):
        connection.close()
    execute = work(rows)
    resident = _settled_memory()
    started = time.monotonic()
    execute()
    seconds = time.monotonic() - started
    sender.send((seconds, (_kibibytes("VmHWM") - resident) / 1024))


def _settled_memory() -> int:
    """Release what start-up freed, reset the kernel's high-water mark (proc(5)), return what is resident (KiB)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _kibibytes("VmRSS")


def _kibibytes(field: str) -> int:
    """Return a field of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _context() -> Any:
    run = SimpleNamespace(run_id=RUN_ID, start_date=STARTED, triggering_user_name=None)
    return {"run_id": RUN_ID, "params": {}, "dag_run": run}


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
