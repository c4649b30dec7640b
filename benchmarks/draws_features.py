"""An incremental refresh of features against a full recompute, at 140 thousand, 1.4 and 14 million draws."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from benchmarks.draws_support import NEWEST, NEWEST_PERIOD, at, fill, result, rows, seconds, warehouse
from drawsguard.draws.features import refresh as feature_refresh
from drawsguard.draws.features.definitions import COMPUTED_COLUMNS
from drawsguard.draws.features.refresh import refresh
from drawsguard.draws.retention import LATEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner

SIZES = {"140k": 140_000, "1m4": 1_400_000, "14m": 14_000_000}
#: A full recompute goes by ranges of so many draws, as a person starts it: the local engine holds a statement's windows
#: in memory, and one over 14 million draws had not ended after 24 minutes, at 14 GB.
RANGE = 1_400_000


def run(sizes: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """Compute everything once (the alternative), refresh three new draws and compare them with a rebuild."""
    return [_measure(name, size) for name, size in (sizes or SIZES).items()]


def _measure(name: str, size: int) -> dict[str, Any]:
    with warehouse("features") as client:
        fill(client, "target", size - 3, NEWEST_PERIOD - 3)
        statements = StatementRunner(client, "bench", "features")
        ranges = _ranges(size)
        # 14 million draws reach back to 1932, before the first day that a search for the bounds of a range goes to.
        with patch.object(feature_refresh, "EARLIEST", min(feature_refresh.EARLIEST, ranges[0].start)):
            full = seconds(lambda: [refresh(statements, window, NEWEST, rebuild=True) for window in ranges])
        fill(client, "target", 3)
        recent = Window(NEWEST.replace(year=2025, month=12), LATEST)
        done: list[Any] = []
        ours = seconds(lambda: done.append(refresh(statements, recent, NEWEST)))
        assert done[0].rows_in == 3, f"three draws are new, {done[0].rows_in} were seen"
        assert refresh(statements, recent, NEWEST, rebuild=True).rows_written == 0, "incremental and full differ"
        table = get_settings().table("target", "draws_14w")
        assert rows(client, f"SELECT COUNT(*) AS n FROM {table}")[0]["n"] == size
    what = (
        f"A refresh after three new draws at {size:,} draws and {len(COMPUTED_COLUMNS)} columns, on the local engine; "
        f"alternative: computing and writing all of them, in {len(ranges)} range{'s' if len(ranges) > 1 else ''}."
    )
    return result(f"features_vs_full_{name}", ours, full, "s", what)


def _ranges(size: int) -> list[Window]:
    """Cover all draws of a table of ``size`` in ranges of at most `RANGE` draws."""
    starts = [at(period) for period in range(NEWEST_PERIOD - size + 1, NEWEST_PERIOD + 1, RANGE)]
    return [Window(start, end) for start, end in zip(starts, [*starts[1:], LATEST], strict=True)]
