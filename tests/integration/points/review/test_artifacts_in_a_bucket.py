"""The points' files with their root in a bucket: report, mail, confirmation; the checkout's own disk is not used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drawsguard.points.database import close
from drawsguard.settings import get_settings
from hooks import artifacts, points_databases
from local.golden.load import confirm
from operators.points.downline.points_confirm_operator import PointsConfirmOperator
from operators.points.review.points_report_mail_operator import PointsReportMailOperator
from operators.points.review.points_usage_report_operator import PointsUsageReportOperator
from tests.integration.points_world import BATCH, TODAY, WINDOW, World, new_world, small_world
from tests.object_stores import object_store

pytestmark = pytest.mark.integration


@pytest.fixture
def world(stack: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = new_world(stack.require("mysql", "smtp").config)
    made.load(*small_world())
    made.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    monkeypatch.setattr(points_databases, "business_today", lambda: TODAY)
    with object_store("gs") as store:
        for name, value in {"DRAWSGUARD_ARTIFACTS_ADDRESS": store.address, **store.connection}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        yield made
        get_settings.cache_clear()
        close(made.governance)


def context() -> Any:
    run = SimpleNamespace(triggering_user_name="requester")
    return {"dag_run": run, "run_id": "manual__bucket", "params": {"dry_run": False}}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


def test_report_mail_and_confirmation_use_the_bucket_alone(world: World, tmp_path: Path) -> None:
    temporary = Path(os.environ["TMPDIR"])
    folder = Path(os.environ["AIRFLOW_HOME"]).parent / "artifacts"
    before, kept_before = {path.name for path in temporary.iterdir()}, files_below(folder)
    report = PointsUsageReportOperator(
        task_id="r", environment="intranet", batch_id=BATCH, evidence_batch=f"window_{WINDOW.last}"
    )
    assert report.execute(context()) == BATCH
    PointsReportMailOperator(task_id="m", batch_id=BATCH).execute(context())
    kept = (world.config.state / "smtp" / "maildir" / "new").iterdir()
    attached = {
        part.get_filename()
        for path in kept
        for part in message_from_bytes(path.read_bytes()).walk()
        if part.get_filename()
    }
    assert f"review-{BATCH}.xlsx" in attached

    confirmed = tmp_path / f"confirmed-{BATCH}.xlsx"
    with artifacts.local_copy(f"{BATCH}/review-{BATCH}.xlsx") as review:
        confirm(
            review, confirmed, [candidate.point_id for candidate in world.repositories.batches.candidates(BATCH)][:3]
        )
    address = artifacts.store(confirmed, "confirmed")
    assert PointsConfirmOperator(task_id="c", workbook=address).execute(context()) == BATCH
    assert world.repositories.batches.get(BATCH).state == "confirmed"
    assert files_below(folder) == kept_before
    assert {path.name for path in temporary.iterdir()} - before <= {"pytest-of-root"}
