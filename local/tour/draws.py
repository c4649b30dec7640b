"""A year of draws: what the simulated feed has published is loaded where the pipeline would have put it.

They come by load jobs (source, target, a month of the sync's log), and the pipeline's own statement computes their
features. What is made up is when each was collected and synced: some seconds after the feed had published it. The
values are the feed's, so the pipeline finds nothing to correct in them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as parquet
from google.cloud.bigquery import Client, LoadJobConfig

from drawsguard.draws.features.definitions import HORIZON
from drawsguard.draws.features.refresh import BLOCK, FeatureTable, Span
from drawsguard.draws.recent.memory import NoMemory
from drawsguard.settings import get_settings
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.runner import StatementRunner
from local.demo.context import DemoContext

#: How much of the feed is asked for at once, and of how many draws the features are computed in one statement: a month.
PIECE = timedelta(days=30)
FEATURES_AT_ONCE = 12_000
#: How far back the sync's log goes: what the pages judge the objectives of a month by.
LOGGED = timedelta(days=31)
_SLOT = timedelta(minutes=5)
_LOOKBACK = timedelta(minutes=15)

_STAMP = pa.timestamp("us", tz="UTC")
_DRAW = pa.schema(
    [
        ("period", pa.int64()), ("timestamp", _STAMP), ("numbers", pa.list_(pa.int64())), ("sum_value", pa.int64()),
        ("big_small", pa.string()), ("odd_even", pa.string()), ("created_at", _STAMP), ("updated_at", _STAMP),
    ]
)  # fmt: skip
#: All columns of sync_log in their order: the emulator takes a file's columns by their places.
_LOG = pa.schema(
    [
        ("dag_id", pa.string()), ("task_id", pa.string()), ("interval_start", _STAMP), ("interval_end", _STAMP),
        ("mode", pa.string()), ("run_id", pa.string()), ("try_number", pa.int64()), ("job_id", pa.string()),
        ("window_start", _STAMP), ("window_end", _STAMP), ("inserted", pa.int64()), ("updated", pa.int64()),
        ("affected", pa.int64()), ("bytes_billed", pa.int64()), ("slot_ms", pa.int64()), ("seconds", pa.float64()),
        ("status", pa.string()), ("error", pa.string()), ("started_at", _STAMP), ("finished_at", _STAMP),
    ]
)  # fmt: skip


class PublishedDraw(NamedTuple):
    """A draw as the feed shows it; times are aware."""

    period: int
    timestamp: datetime
    numbers: tuple[int, ...]
    created_at: datetime
    updated_at: datetime | None


def published(context: DemoContext, until: datetime) -> Iterator[PublishedDraw]:
    """Yield every draw that the feed shows at a moment (aware), oldest first."""
    start = datetime.fromisoformat(context.feed("/health")["since"])
    while start < until:
        end = min(start + PIECE, until)
        moments = {"from": start, "to": end, "as_of": until}
        for one in context.feed("/truth", **{name: moment.isoformat() for name, moment in moments.items()})["data"]:
            corrected = one["updated_at"] and datetime.fromisoformat(one["updated_at"])
            times = (datetime.fromisoformat(one[name]) for name in ("timestamp", "created_at"))
            timestamp, created_at = times
            yield PublishedDraw(one["period"], timestamp, tuple(one["numbers"]), created_at, corrected or None)
        start = end


def draw_columns(draws: list[PublishedDraw]) -> dict[str, list[Any]]:
    """Return the columns that source and target share."""
    totals = [sum(one.numbers) for one in draws]
    return {
        "period": [one.period for one in draws],
        "timestamp": [one.timestamp for one in draws],
        "numbers": [list(one.numbers) for one in draws],
        "sum_value": totals,
        "big_small": ["big" if total >= 14 else "small" for total in totals],
        "odd_even": ["odd" if total % 2 else "even" for total in totals],
        "created_at": [one.created_at for one in draws],
        "updated_at": [one.updated_at for one in draws],
    }


def written_at(draws: list[PublishedDraw], until: datetime) -> tuple[list[datetime], list[datetime]]:
    """Return when each draw was collected and synced: seconds after it was shown, and never after ``until``."""
    shown = [one.updated_at or one.created_at for one in draws]
    collected = [min(until, at + timedelta(seconds=3 + one.period % 7)) for at, one in zip(shown, draws, strict=True)]
    synced = [min(until, at + timedelta(seconds=8 + one.period % 23)) for at, one in zip(collected, draws, strict=True)]
    return collected, synced


def sync_log(since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Yield the rows of a sync that never failed, for each five minutes of a span (aware), oldest first."""
    seconds = _SLOT.total_seconds()
    start = datetime.fromtimestamp(-(-since.timestamp() // seconds) * seconds, UTC)
    while start + _SLOT <= until:
        end = start + _SLOT
        yield {
            "dag_id": "draw_sync", "task_id": "sync", "interval_start": start, "interval_end": end, "mode": "interval",
            "run_id": f"scheduled__{start.isoformat()}", "try_number": 1, "window_start": start - _LOOKBACK,
            "window_end": end, "affected": 0, "seconds": 1.0, "status": "success",
            "started_at": min(until, end + timedelta(seconds=2)), "finished_at": min(until, end + timedelta(seconds=3)),
        }  # fmt: skip
        start = end


def load(client: Client, table: str, rows: pa.Table) -> None:
    """Append rows to a table by a load job.

    :param table: its dataset and name.
    :raises google.api_core.exceptions.GoogleAPICallError: when BigQuery refuses them; nothing was loaded then.
    """
    held = io.BytesIO()
    parquet.write_table(rows, held)
    held.seek(0)
    config = LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
    client.load_table_from_file(held, f"{get_settings().project}.{table}", job_config=config).result(timeout=300)


def _compute_features(context: DemoContext, client: Client, periods: list[int], until: datetime) -> None:
    """Compute the features of consecutive periods, block by block, oldest first."""
    statements = StatementRunner(client, "feature_refresh", "refresh", BULK)
    table = FeatureTable(statements, HORIZON, BLOCK, lambda: datetime.now(UTC), NoMemory())
    for start in range(0, len(periods), FEATURES_AT_ONCE):
        block = periods[start : start + FEATURES_AT_ONCE]
        table.write(Span(block[0], block[-1], len(block)), until)
        context.say(f"features of {start + len(block):,} of {len(periods):,} draws")


def load_year(context: DemoContext) -> int:
    """Load everything that the feed has published by now; returns how many draws that were.

    Source, target and log are emptied first: a first start may have been interrupted. Nothing else writes to them yet.
    """
    settings, client = get_settings(), context.bigquery()
    until = datetime.now(UTC).replace(microsecond=0)
    draws = list(published(context, until))
    context.say(f"loading {len(draws):,} draws since {draws[0].timestamp:%Y-%m-%d}")
    tables = [("source", "draws"), ("target", "draws"), ("monitor", "sync_log")]
    for table in tables:
        client.query(f"TRUNCATE TABLE {settings.table(*table)}").result(timeout=60)
    columns = draw_columns(draws)
    collected, synced = written_at(draws, until)
    stamped = ((settings.source_dataset, "ingested_at", collected), (settings.target_dataset, "synced_at", synced))
    for dataset, stamp, moments in stamped:
        rows = pa.table(columns | {stamp: moments}, schema=_DRAW.append(pa.field(stamp, _STAMP)))
        load(client, f"{dataset}.draws", rows)
    # The log comes last: what it says to be synced is not looked for again.
    since = max(draws[0].timestamp, until - LOGGED)
    load(
        client, f"{settings.monitor_dataset}.sync_log", pa.Table.from_pylist(list(sync_log(since, until)), schema=_LOG)
    )
    _compute_features(context, client, [one.period for one in draws], until)
    return len(draws)
