"""Write ``dags/README.md``, the table of all DAGs, from the DAGs themselves: ``python -m local.dag_table``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from local.config import REPOSITORY

PAGE = REPOSITORY / "dags" / "README.md"

HEADER = """# The DAGs

Made from the DAG files by `python -m local.dag_table`; a test fails when it is stale. Tiers: 0 pages at once, 1 within
15 minutes, 2 and 3 are in the daily digest. Every scheduled DAG can be triggered and backfilled from the UI as well;
its page there shows the whole documentation.

| DAG | schedule | UTC | Beijing | owner | tier | what a failure means |
|---|---|---|---|---|---|---|
"""


def _schedule(dag: DAG) -> tuple[str, str, str]:
    """Return the schedule as written, and the time of day it means in UTC and in Beijing (for daily ones)."""
    timetable: Any = dag.timetable
    by_asset = getattr(timetable, "asset_condition", None) is not None and hasattr(timetable, "timetable")
    timetable = timetable.timetable if by_asset else timetable
    more = " or asset" if by_asset else ""
    expression = getattr(timetable, "expression", None) or getattr(timetable, "_expression", None)
    if not expression:
        by_asset_alone = getattr(timetable, "asset_condition", None) is not None
        return ("asset" if by_asset_alone else "by hand"), "", ""
    minute, hour = str(expression).split()[:2]
    if not (minute.isdigit() and hour.isdigit()):
        return f"`{expression}`{more}", "", ""
    zone = ZoneInfo(str(getattr(timetable, "timezone", None) or getattr(timetable, "_timezone", "UTC")))
    at = datetime(2025, 1, 1, int(hour), int(minute), tzinfo=zone)
    beijing = at.astimezone(UTC) + timedelta(hours=8)
    return f"`{expression}` {zone}{more}", f"{at.astimezone(UTC):%H:%M}", f"{beijing:%H:%M}"


def _row(dag: DAG) -> str:
    text, utc, beijing = _schedule(dag)
    tier = next((tag.removeprefix("tier:") for tag in sorted(dag.tags) if tag.startswith("tier:")), "")
    failure = (dag.doc_md or "").strip().split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    file = Path(dag.fileloc).relative_to(REPOSITORY / "dags")
    return f"| [{dag.dag_id}]({file}) | {text} | {utc} | {beijing} | {dag.owner} | {tier} | {failure} |"


def page() -> str:
    """Return the page.

    :raises RuntimeError: when a DAG file cannot be imported.
    """
    bag = DagBag(str(REPOSITORY / "dags"))
    if bag.import_errors:
        raise RuntimeError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return HEADER + "\n".join(_row(bag.dags[dag_id]) for dag_id in sorted(bag.dags)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
