"""What BigQuery would have billed for the demo, by its rules, from what the tasks logged of each of their queries."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drawsguard.monitoring.checks import load_checks
from drawsguard.warehouse.bill import GIB, MB
from drawsguard.warehouse.references import minimum_bytes
from local.airflow_api import AirflowApi
from local.config import REPOSITORY
from local.demo.context import DemoContext

#: How the runner logs a query: its file, and how many tables it references.
QUERY = re.compile(r"(?P<file>\S+\.sql): job \S+, .* (?P<tables>\d+) tables referenced,")
MONITOR, VIEW = "monitoring_checks", "monitoring/read_view.sql"
#: The share of all its views that the monitor may read although draws and faults come this fast; on a clock it is one.
MOST_READ = 2 / 3
#: The model of a month, by the schedules' real pace; `make bench BENCH=bill` computes it.
RESULTS = REPOSITORY / "benchmarks" / "results.json"
MONTHS = {"month_quiet_gib": "bill_gib_month_140k", "month_bad_gib": "bill_gib_month_bad"}


def run(_api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Count the queries of all tasks. Tables are small here, so that each costs its minimum.

    The demo's draws come ten times as often as the real feed's, and its faults within minutes: a month at its pace
    would say nothing. The month is the model's; that the monitor asks about news alone is seen here, too.
    """
    billed: Counter[str] = Counter()
    queries = references = rounds = read = 0
    views = len(load_checks().views())
    for path in (context.config.state / "airflow" / "logs").rglob("dag_id=*/**/attempt=*.log"):
        dag_id = next(part[7:] for part in path.parts if part.startswith("dag_id="))
        sent = list(_queries(path))
        queries += len(sent)
        references += sum(tables for _, tables in sent)
        billed[dag_id] += sum(minimum_bytes(tables) for _, tables in sent)
        if dag_id == MONITOR:
            rounds, read = rounds + 1, read + sum(file == VIEW for file, _ in sent)
    known = {one["name"]: one["ours"] for one in json.loads(RESULTS.read_text("utf-8"))}
    return {
        "queries": queries,
        "references": references,
        "billed_gib": billed.total() / GIB,
        "dearest_mib": {dag: size // MB for dag, size in billed.most_common(3)},
        "monitor_rounds": rounds,
        "views_read": read,
        "views_of_rounds": rounds * views,
        **{name: known[of] for name, of in MONTHS.items()},
        "budget_gib": context.settings.bigquery_budget_gib,
    }


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    wrong = [
        f"{name} is {section[name]} GiB of {section['budget_gib']}"
        for name in MONTHS
        if section[name] > section["budget_gib"]
    ]
    if not section["queries"]:
        wrong.append("no query of a task was counted")
    # The first round reads all, and so may the second.
    read, views = section["views_read"], section["views_of_rounds"]
    if section["monitor_rounds"] > 2 and read > MOST_READ * views:
        wrong.append(f"the monitor read {read} of {views} views: nothing is carried")
    return wrong


def _queries(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the file of each query that a task's log tells of, and how many tables it references."""
    for line in path.read_text("utf-8").splitlines():
        if found := QUERY.search(line):
            yield found["file"].rpartition('"')[2], int(found["tables"])
