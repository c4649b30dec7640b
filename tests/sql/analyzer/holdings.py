"""How large the tables are that the bill is computed for: rows a day, days kept, bytes of a column.

A stated model, and a generous one: the length of a text is guessed, and the logs are those of busy days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from drawsguard.settings import get_settings
from drawsguard.sql import SQL_ROOT, render
from drawsguard.warehouse.bill import Reading
from drawsguard.warehouse.references import schema_definitions

#: Draws a day of the feed, each once corrected an hour on bad days.
DRAWS_A_DAY = 430
#: Logs expire.
LOG_DAYS = 400

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS `([^`]+)` \((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r"^  (\w+) (ARRAY|STRUCT|INT64|FLOAT64|TIMESTAMP|DATE|BOOL|STRING)\b", re.MULTILINE)
_BYTES = {"INT64": 8, "FLOAT64": 8, "TIMESTAMP": 8, "DATE": 8, "BOOL": 1, "ARRAY": 24, "STRUCT": 80, "STRING": 40}

#: Rows a day, by the end of a table's name; all else has `FEW`.
ROWS_A_DAY = {
    ".draws": DRAWS_A_DAY,
    ".draws_14w": DRAWS_A_DAY,
    "hourly_mv": 24,
    ".sync_log": 800,
    ".feature_update_log": 800,
    ".collect_log": 3000,
    ".check_log": 70_000,
    ".identity_check_log": 28 * 288,
    ".cloudscheduler_googleapis_com_executions": 5000,
    ".run_googleapis_com_requests": 20_000,
    ".INFORMATION_SCHEMA.JOBS": 10_000,
}
FEW = 50
#: Bytes of a row whose columns are not known (views of the service).
ROW_BYTES = 80


@dataclass(frozen=True)
class Holdings:
    """The tables at one size.

    :param draws: how many there are; at the feed's cadence 14 million are 90 years.
    """

    draws: int

    def bytes_read(self, table: str, reading: Reading) -> int:
        """Return what a reading of a table processes (bytes)."""
        rows = next((number for end, number in ROWS_A_DAY.items() if table.endswith(end)), FEW)
        forever = table.endswith((".draws", ".draws_14w", "hourly_mv"))
        kept = timedelta(days=self.draws / DRAWS_A_DAY if forever else LOG_DAYS)
        days = (kept if reading.reach is None else min(kept, reading.reach)) / timedelta(days=1)
        widths = _widths().get(table)
        row = sum(size for name, size in widths.items() if name in reading.columns) if widths else ROW_BYTES
        # A bound prunes whole days, and its two ends lie within some.
        return round((days + 2) * rows * row)


@cache
def _widths() -> dict[str, dict[str, int]]:
    """Return the bytes of each column of the tables that the schema creates."""
    get_settings()
    found = {}
    for path in sorted((SQL_ROOT / "bigquery" / "schema").glob("V*.sql")):
        for name, columns in _TABLE.findall(render(f"bigquery/schema/{path.name}")):
            found[name] = {column: _BYTES[kind] for column, kind in _COLUMN.findall(columns)}
    for name, definition in schema_definitions().items():
        if definition.materialized:  # counts, bounds and fingerprints
            found[name] = dict.fromkeys(re.findall(r"\bAS (\w+),?$", definition.text, re.MULTILINE), 8)
    return found
