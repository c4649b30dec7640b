"""What a month of all schedules is billed for, by the accountant: a played day of the monitor, times the schedules."""

from __future__ import annotations

import importlib
from typing import Any

#: Measured on a running stack of the first version, over 30 quiet minutes (GiB a month, at 140 thousand draws).
FIRST_VERSION = 10_600


def run() -> list[dict[str, Any]]:
    """Return the bill at both sizes and of a bad month."""
    quiet, bad = (getattr(_model(), name) for name in ("QUIET", "BAD"))
    return [
        _result("140k", "140k", quiet, "140 thousand draws, a quiet month"),
        _result("14m", "14m", quiet, "14 million draws, a quiet month"),
        _result("bad", "140k", bad, "140 thousand draws, a nine-hour outage a week and a correction an hour"),
        _result("bad_14m", "14m", bad, "14 million draws, a nine-hour outage a week and a correction an hour"),
    ]


def _model() -> Any:
    """Return the model of the tests; it imports Airflow."""
    return importlib.import_module("tests.sql.analyzer.test_bill")


def _result(name: str, size: str, situation: str, what: str) -> dict[str, Any]:
    from drawsguard.warehouse.bill import GIB

    ours = round(sum(_model().month(size, situation).values()) / GIB)
    return {
        "name": f"bill_gib_month_{name}",
        "ours": ours,
        "alternative": FIRST_VERSION,
        "ratio": round(FIRST_VERSION / ours, 1),
        "unit": "GiB",
        "what": f"Queries billed a month at {what}: runs of every schedule and of news, by BigQuery's rules. Computed. "
        "Alternative: the first version, measured at 140 thousand draws.",
    }
