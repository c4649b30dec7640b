"""Load the golden case into MySQL, and confirm its workbook as the reviewers of 2024 did."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from drawsguard.points.review.candidate import EVIDENCE_COLUMNS, FIRST_DATA_ROW, SUMMARY_SHEET, Decision
from drawsguard.sql import render
from local.golden.dataset import Environment, Golden

_POINTS = """
CREATE TABLE {table} (
  id               BIGINT       NOT NULL,
  status           INT          NOT NULL,
  people           VARCHAR(255) NULL,
  lv1              VARCHAR(255) NULL,
  lv2              VARCHAR(255) NULL,
  description      TEXT         NULL,
  `table`          VARCHAR(64)  NULL,
  modeltype        VARCHAR(64)  NULL,
  cluster          VARCHAR(64)  NULL,
  demand           VARCHAR(255) NULL,
  last_modify_time TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  created_time     DATETIME     NULL,
  KEY by_id (id)
) ENGINE = InnoDB
"""
_TAGS = """
CREATE TABLE {table} (
  id               BIGINT       NOT NULL,
  status           INT          NOT NULL,
  name             VARCHAR(255) NULL,
  people           VARCHAR(255) NULL,
  eids             TEXT         NULL,
  last_modify_time TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  KEY by_id (id)
) ENGINE = InnoDB
"""


def load_environment(connection: Any, environment: Environment) -> None:
    """Replace an environment's definition tables by the golden ones.

    :param connection: a connection to cvs_intranet or cvs_extranet, in UTC.
    """
    with closing(connection.cursor()) as cursor:
        for ddl, tables in ((_POINTS, environment.points), (_TAGS, environment.tags)):
            for table, rows in tables.items():
                cursor.execute(f"DROP TABLE IF EXISTS {table}")
                cursor.execute(ddl.format(table=table))
                marks = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names of our own
    connection.commit()


def load_evidence(governance: Any, golden: Golden) -> str:
    """Put the golden usage where the 15:00 push puts it, and return the evidence batch's id."""
    batch_id = f"window_{golden.window.last}"
    now = datetime.now(UTC).replace(tzinfo=None)
    days = [("window", day, 1440, 15000, 15000, 0) for day in golden.window.days]
    with closing(governance.cursor()) as cursor:
        cursor.execute("DELETE FROM rsp_datagovern.ads_evt_ops_status_ago WHERE batch_id = %s", (batch_id,))
        cursor.executemany(
            "INSERT INTO rsp_datagovern.ads_evt_ops_status_ago (batch_id, oper_type, oper_ts, eid)"
            " VALUES (%s, %s, %s, %s)",
            [(batch_id, *metric) for metric in golden.metrics],
        )
        cursor.execute(render("mysql/telemetry/push/batch_facts.sql"), {"batch_id": batch_id})
        facts = cursor.fetchone()  # as the push records them: its guard compares them with the rows
        cursor.execute(
            "REPLACE INTO rsp_datagovern.evidence_batch (batch_id, flow, window_start, window_end, state, row_count,"
            " eid_sum, checksum, run_id, published_at, completed_at)"
            " VALUES (%s, 'window', %s, %s, 'completed', %s, %s, %s, 'golden', %s, %s)",
            (batch_id, *golden.window, *facts, now, now),
        )
        cursor.executemany(
            "REPLACE INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes) VALUES (%s, %s, %s)",
            [(batch_id, day, 1440) for day in golden.window.days],
        )
        cursor.executemany(
            "REPLACE INTO rsp_datagovern.evidence_day (flow, pt_dt, minutes, metrics, raw_rows, rejected_rows)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            days,
        )
    governance.commit()
    return batch_id


def confirm(review: Path, confirmed: Path, points: Collection[int], reviewer: str = "mangge") -> int:
    """Fill in a review workbook as reviewers would, save it as ``confirmed``, and return the points taken offline."""
    wanted, marked = set(points), 0
    workbook = load_workbook(review)
    for sheet in workbook.worksheets:
        if sheet.title == SUMMARY_SHEET:
            continue
        for row in range(FIRST_DATA_ROW, sheet.max_row + 1):
            if sheet.cell(row, 1).value is None:
                continue
            down = sheet.cell(row, 1).value in wanted
            marked += down
            sheet.cell(row, len(EVIDENCE_COLUMNS) + 1).value = (Decision.DOWNLINE if down else Decision.KEEP).label
            sheet.cell(row, len(EVIDENCE_COLUMNS) + 2).value = reviewer
    workbook.save(confirmed)
    return marked
