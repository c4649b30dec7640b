"""Deliver generated telemetry as CMA does: Hudi-like Parquet partitions, and JSON lines in one folder a day."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from local.cma.telemetry import DayTruth, Telemetry

#: Commit times of a day's first and later delivery (Hudi instants: yyyyMMddHHmmssSSS).
FIRST_COMMIT, LATE_COMMIT = "20240101000000000", "20240102000000000"

CREATE_DATABASE = "CREATE DATABASE IF NOT EXISTS datalake_platform"
DROP_HISTORY = "DROP TABLE IF EXISTS datalake_platform.cma_hudi"
CREATE_HISTORY = """
CREATE EXTERNAL TABLE IF NOT EXISTS datalake_platform.cma_hudi (
  `_hoodie_commit_time` STRING, app STRING, metric STRING, ts STRING, `instance` STRING, `value` STRING
)
PARTITIONED BY (pt_dt STRING)
STORED AS PARQUET
LOCATION '{root}'
"""


def write_history(
    plan: Telemetry, days: Iterable[date], root: Path, *, with_late: bool = True, commit: str = FIRST_COMMIT
) -> dict[date, DayTruth]:
    """Write days as partitions of the raw history, each replacing what was delivered before; return the truths.

    :param root: the table's folder; a partition is ``pt_dt=<day>`` below it.
    :param with_late: whether records that come late are among them.
    :param commit: the commit time that every record carries.
    """
    truths = {}
    for day in days:
        made = plan.day(day, with_late=with_late)
        truths[day] = made.truth()
        folder = root / f"pt_dt={day}"
        shutil.rmtree(folder, ignore_errors=True)
        if truths[day].raw_rows == 0:
            continue
        folder.mkdir(parents=True)
        columns = {
            name: pa.DictionaryArray.from_arrays(
                pa.array(column.codes, pa.int32()), pa.array(column.vocabulary, pa.string())
            )
            for name, column in made.columns().items()
        }
        rows = truths[day].raw_rows
        columns["_hoodie_commit_time"] = pa.DictionaryArray.from_arrays(
            pa.array([0] * rows, pa.int32()), pa.array([commit])
        )
        # One name per delivery: readers that cache files by name must see that this one is new.
        pq.write_table(pa.table(columns), folder / f"{commit}.parquet", store_schema=False)
    return truths


def register_history(
    connection: Any, root: Path, days: Iterable[date], *, replace: bool = False, spark: bool = True
) -> None:
    """Make the partitions known to Hive.

    :param connection: a connection of PyHive.
    :param replace: drop a table of another folder first.
    :param spark: whether the server is Spark, which keeps a list of each table's files; Hive has none.
    """
    with connection.cursor() as cursor:
        cursor.execute(CREATE_DATABASE)
        if replace:
            cursor.execute(DROP_HISTORY)
        cursor.execute(CREATE_HISTORY.format(root=root.resolve()))
        present = [day for day in days if (root / f"pt_dt={day}").is_dir()]
        for start in range(0, len(present), 60):
            partitions = " ".join(f"PARTITION (pt_dt = '{day}')" for day in present[start : start + 60])
            cursor.execute(f"ALTER TABLE datalake_platform.cma_hudi ADD IF NOT EXISTS {partitions}")
        if spark:
            cursor.execute("REFRESH TABLE datalake_platform.cma_hudi")


def write_daily(plan: Telemetry, day: date, root: Path) -> DayTruth:
    """Write one day of the legacy feed as JSON lines below ``root/<year>/<month>/<day>``; return the truth."""
    made = plan.day(day)
    folder = root / f"{day.year}/{day.month}/{day.day}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    columns = made.columns(others=False)
    texts = {name: column.texts() for name, column in columns.items() if name != "app"}
    with (folder / "part-00000.json").open("w", encoding="utf-8") as file:
        for metric, ts, instance, value in zip(*texts.values(), strict=True):
            number = int(value) if value and value.lstrip("-").isdigit() else value
            file.write(json.dumps({"ts": ts, "metric": metric, "instance": instance, "value": number}) + "\n")
        file.writelines(f"{line}\n" for line in made.broken_lines())
    return made.truth(others=False, json=True)
