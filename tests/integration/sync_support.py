"""What the sync's tests share: versions of draws, the operator outside a scheduler, and the truth in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from google.cloud.bigquery import Client

from drawsguard.draws.model import Draw
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from operators.draws.sync.draw_sync_operator import DrawSyncOperator

#: What the sync needs of the schema.
MIGRATIONS = (
    "V001__datasets", "bootstrap", "V002__draws", "V003__logs", "R__010_draw_version", "R__100_draws_dedup_v",
    "R__140_draw_versions_hourly_mv", "R__150_draws_hourly_mv",
)  # fmt: skip

SLOT = timedelta(minutes=5)
LONG_AGO = datetime(2025, 10, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One row of a draws table, without the time of writing."""

    period: int
    timestamp: datetime
    numbers: tuple[int, ...]
    created_at: datetime
    updated_at: datetime | None


def newest_versions(draws: Iterable[Draw]) -> set[Row]:
    """The truth: of each period the version that draws.md calls newest, computed without the warehouse."""
    newest: dict[int, Draw] = {}
    for draw in draws:
        if draw.period not in newest or _age(draw) > _age(newest[draw.period]):
            newest[draw.period] = draw
    return {Row(d.period, d.timestamp, tuple(d.numbers), d.created_at, d.updated_at) for d in newest.values()}


def _age(draw: Draw) -> tuple[Any, ...]:
    return (
        draw.updated_at or draw.created_at,
        draw.created_at,
        draw.updated_at is not None,
        draw.timestamp,
        tuple(draw.numbers),
    )


def collect(client: Client, draws: Iterable[Draw], ingested_at: datetime = LONG_AGO) -> None:
    """Append versions to the source, as the collector does."""
    values = [
        f"({draw.period}, {_literal(draw.timestamp)}, {list(draw.numbers)}, {draw.sum_value}, '{draw.big_small}', "
        f"'{draw.odd_even}', {_literal(draw.created_at)}, {_literal(draw.updated_at)}, {_literal(ingested_at)})"
        for draw in draws
    ]
    if values:
        client.query(
            f"INSERT INTO {get_settings().table('source', 'draws')} (period, timestamp, numbers, sum_value, big_small, "
            f"odd_even, created_at, updated_at, ingested_at) VALUES {', '.join(values)}"
        ).result()


def _literal(moment: datetime | None) -> str:
    return "CAST(NULL AS TIMESTAMP)" if moment is None else f"TIMESTAMP '{moment.isoformat()}'"


def target_rows(client: Client) -> list[Row]:
    """Every row of the business table; a list, so that a doubled row shows."""
    rows = client.query(
        "SELECT period, timestamp, numbers, created_at, updated_at "
        f"FROM {get_settings().table('target', 'draws')} WHERE timestamp >= TIMESTAMP '2000-01-01 00:00:00+00:00'"
    ).result()
    return [Row(r["period"], r["timestamp"], tuple(r["numbers"]), r["created_at"], r["updated_at"]) for r in rows]


def sync_log(client: Client) -> list[dict[str, Any]]:
    rows = client.query(f"SELECT * FROM {get_settings().table('monitor', 'sync_log')} ORDER BY interval_start").result()
    return [dict(row) for row in rows]


def context(interval: Window | None = None, run_after: datetime | None = None, **params: Any) -> dict[str, Any]:
    """What the operators use of a running task's context."""
    run = SimpleNamespace(
        data_interval_start=interval.start if interval else None,
        data_interval_end=interval.end if interval else None,
        logical_date=interval.start if interval else None,
        run_after=run_after or (interval.end if interval else datetime.now(UTC)),
        start_date=datetime.now(UTC),
    )
    pushed: dict[str, Any] = {}
    task_instance = SimpleNamespace(
        run_id="test", try_number=1, xcom_push=lambda key, value, **_: pushed.update({key: value})
    )
    defaults = {"from": None, "to": None, "dry_run": False}
    return {"dag_run": run, "ti": task_instance, "params": defaults | params}


def sync(interval: Window | None = None, *, news: bool = False, **params: Any) -> dict[str, Any]:
    """Run the operator once, as a task would, and return its plan.

    :param news: as the task of draw_news.
    """
    run_after = params.pop("run_after", None)
    return DrawSyncOperator(task_id="sync", slot=SLOT, news=news).execute(context(interval, run_after, **params))
