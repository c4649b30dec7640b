"""The golden usage as raw CMA telemetry: the aggregation has to turn it into exactly the golden statistics."""

from __future__ import annotations

import shutil
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from local.cma.deliver import FIRST_COMMIT
from local.golden.dataset import Golden

_MINUTE = timedelta(minutes=1)
#: Every so many metrics is uploaded twice, the second time with a part of its count.
_UPLOADED_TWICE = 50


def write_raw(golden: Golden, root: Path) -> dict[str, tuple[datetime, int]]:
    """Write the telemetry as partitions below ``root``; return the expected result: oper_type → (last seen, count).

    A metric's count comes from three instances in two minutes. Confirmed points appear as well, in a way that does not
    count as use: as another application's metric.
    """
    shutil.rmtree(root, ignore_errors=True)
    rows: dict[str, list[tuple[str, str, str, str, str]]] = defaultdict(list)

    def add(metric: str, seen: datetime, instance: int, value: int, app: str = "EVT") -> None:
        rows[str(seen.date())].append((app, metric, str(seen), f"nos-{instance:03d}", str(value)))

    truth = {}
    for number, (metric, seen, count) in enumerate(golden.metrics):
        part = count // 3
        add(metric, seen + timedelta(seconds=number % 60), 1, count - 2 * part)
        add(metric, seen, 2, part)
        add(metric, max(seen - _MINUTE, datetime.combine(seen, datetime.min.time())), 3, part)
        if number % _UPLOADED_TWICE == 0:
            add(metric, seen, 1, part)
        truth[metric] = (seen, count)
    # The last metric concerns a point that other systems define; its use makes every day whole.
    minutes = [datetime.combine(day, datetime.min.time()) + number * _MINUTE
               for day in golden.window.days for number in range(1440)]  # fmt: skip
    for minute in minutes:
        add(metric, minute, 4, 1)
    truth[metric] = (minutes[-1], count + len(minutes))
    for number, point in enumerate(golden.confirmed):
        moment = minutes[number * 7 % len(minutes)]
        add(f"que_eid_{point}", moment, 5, 3, app="PAY")
    names = ("app", "metric", "ts", "instance", "value")
    for day, records in rows.items():
        columns = dict(zip(names, map(pa.array, zip(*records, strict=True)), strict=True))
        columns["_hoodie_commit_time"] = pa.array([FIRST_COMMIT] * len(records))
        folder = root / f"pt_dt={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / f"{FIRST_COMMIT}.parquet")
    return truth
