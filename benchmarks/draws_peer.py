"""One refresh after late and corrected draws: this project's MERGE against dbt-duckdb's incremental model.

Both sides hold the same draws and see the same changes: new draws, draws that arrive late, and corrections of old ones.
The peer is the incremental model of its documentation: unique key, newer than what the table has. Correctness counts
the draws that are missing or have an old value afterwards.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.draws_support import NEWEST, NEWEST_PERIOD, at, fill, result, rows, seconds, warehouse
from drawsguard.draws.sync.target import TargetRepository
from drawsguard.draws.window import Window
from drawsguard.settings import REPOSITORY, get_settings
from drawsguard.warehouse.runner import StatementRunner

PEER = REPOSITORY / "benchmarks" / "peer"
ENVIRONMENT = REPOSITORY / ".local" / "venv" / "peer"
SIZE = 140_000
#: New draws, draws that were held back, corrections: counted back from the newest period.
NEW = range(NEWEST_PERIOD - 2, NEWEST_PERIOD + 1)
LATE = range(NEWEST_PERIOD - 15, NEWEST_PERIOD - 10)
CORRECTED = range(NEWEST_PERIOD - 9, NEWEST_PERIOD - 4)


def run() -> list[dict[str, Any]]:
    """Run one refresh of each side and return both times; wrong rows are named in the text."""
    ours, our_wrong = _ours()
    theirs, compute, their_wrong = _peer()
    what = (
        f"One refresh at {SIZE:,} draws after {len(NEW)} new, {len(LATE)} late and {len(CORRECTED)} corrected draws, "
        f"on the same DuckDB. Ours: plan, MERGE and verification ({our_wrong} draws wrong afterwards). Alternative: "
        f"dbt-duckdb's incremental model as a process of its own, of which {compute:.2f} s are the model "
        f"({their_wrong} draws wrong afterwards: the late ones; a lookback in its filter would catch those within it)."
    )
    return [result("refresh_vs_peer", ours, theirs, "s", what)]


def _ours() -> tuple[float, int]:
    window = Window(at(NEWEST_PERIOD - 18), at(NEWEST_PERIOD) + (at(1) - at(0)))
    with warehouse("peer") as client:
        source, target = get_settings().table("source", "draws"), get_settings().table("target", "draws")
        fill(client, "source", SIZE)
        fill(client, "target", SIZE)
        client.query(f"DELETE FROM {target} WHERE period >= {NEW.start} OR {_between(LATE)}").result()
        client.query(
            f"INSERT INTO {source} (period, timestamp, numbers, sum_value, big_small, odd_even, created_at, "
            "updated_at, ingested_at) SELECT period, timestamp, [9, 9, 9], 27, 'big', 'odd', created_at, "
            f"TIMESTAMP_ADD(timestamp, INTERVAL 1 HOUR), ingested_at FROM {source} WHERE {_between(CORRECTED)}"
        ).result()

        def refresh() -> None:
            warehouse_ = TargetRepository(client, dag_id="bench", task_id="sync")
            plan = warehouse_.plan_window(window, NEWEST)
            StatementRunner(client, "bench", "sync").run("sync/merge_draws.sql", **plan.bounds(), synced_at=NEWEST)
            warehouse_.verify(plan)

        taken = seconds(refresh)
        right = rows(
            client,
            f"SELECT COUNT(*) AS n FROM {target} WHERE ({_between(CORRECTED)} AND sum_value = 27) "
            f"OR {_between(NEW)} OR {_between(LATE)}",
        )[0]["n"]
    return taken, len(NEW) + len(LATE) + len(CORRECTED) - right


def _between(periods: range) -> str:
    return f"period BETWEEN {periods.start} AND {periods.stop - 1}"


def _peer() -> tuple[float, float, int]:
    """Return the seconds of the process, of the model alone, and the draws that are wrong afterwards."""
    if not (ENVIRONMENT / "bin" / "dbt").exists():
        raise RuntimeError(
            f"{ENVIRONMENT} is missing. Make it with: .venv/bin/uv venv {ENVIRONMENT} && .venv/bin/uv pip install "
            f"--python {ENVIRONMENT}/bin/python -r {PEER / 'requirements.lock'}"
        )
    project = REPOSITORY / ".local" / "bench_peer"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(PEER / "project", project)
    _duckdb(
        project,
        f"""
        CREATE TABLE source_draws AS
        SELECT period, drawn_at, [a, b, c] AS numbers, a + b + c AS sum_value, drawn_at AS updated_at
        FROM (
          SELECT
            period,
            TIMESTAMP '{NEWEST:%F %T}' + INTERVAL (210 * (period - {NEWEST_PERIOD})) SECOND AS drawn_at,
            MOD(period * 7 + period // 11, 10) AS a,
            MOD(period * 3 + period // 17, 10) AS b,
            MOD(period + period // 29, 10) AS c
          FROM range({NEWEST_PERIOD - SIZE + 1}, {NEWEST_PERIOD + 1}) AS periods(period)
        );
        CREATE TABLE everything AS FROM source_draws;
        DELETE FROM source_draws WHERE {_between(NEW)} OR {_between(LATE)};
        """,
    )
    _dbt(project)
    _duckdb(
        project,
        f"""
        INSERT INTO source_draws FROM everything WHERE {_between(NEW)} OR {_between(LATE)};
        UPDATE source_draws SET numbers = [9, 9, 9], sum_value = 27, updated_at = drawn_at + INTERVAL 1 HOUR
        WHERE {_between(CORRECTED)};
        """,
    )
    taken = seconds(lambda: _dbt(project))
    compute = json.loads((project / "target" / "run_results.json").read_text())["results"][0]["execution_time"]
    wrong = _duckdb(
        project,
        "SELECT COUNT(*) FROM source_draws s LEFT JOIN draws d USING (period) "
        "WHERE d.period IS NULL OR d.sum_value <> s.sum_value;",
    )
    return taken, compute, int(wrong)


def _duckdb(project: Path, script: str) -> str:
    """Run statements on the peer's database and return the first value of the last result."""
    code = (
        "import duckdb, sys; result = duckdb.connect('peer.duckdb').execute(sys.stdin.read()).fetchone(); "
        "print(result[0] if result else '')"
    )
    python = ENVIRONMENT / "bin" / "python"
    done = subprocess.run([python, "-c", code], cwd=project, input=script, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def _dbt(project: Path) -> None:
    command = [
        str(ENVIRONMENT / "bin" / "dbt"),
        "--quiet",
        "--no-send-anonymous-usage-stats",
        "run",
        "--profiles-dir",
        ".",
    ]
    done = subprocess.run(command, cwd=project, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"dbt run failed: {done.stdout}{done.stderr}")
