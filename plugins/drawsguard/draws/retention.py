"""Bounds of what the tables hold, for the partition filters that BigQuery demands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: Older than any draw, and newer than any.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

#: How long log rows are kept: ``partition_expiration_days`` of ``sync_log`` and of the other logs.
LOG_RETENTION = timedelta(days=400)
