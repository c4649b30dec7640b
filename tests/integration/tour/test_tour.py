"""What `make up` loads is true to the pipeline; the button of its files page is nowhere but in the embedded stack."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from fastapi import FastAPI, HTTPException
from openpyxl import load_workbook
from starlette.testclient import TestClient

from drawsguard.draws.features.definitions import HORIZON
from drawsguard.draws.features.refresh import BLOCK, FeatureTable
from drawsguard.draws.recent.memory import NoMemory
from drawsguard.draws.sync.target import TargetRepository
from drawsguard.points.database import close
from drawsguard.points.review.candidate import EVIDENCE_COLUMNS, FIRST_DATA_ROW
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.workbook import ReviewHead, write_review
from drawsguard.settings import get_settings
from drawsguard.warehouse.limits import BULK
from drawsguard.warehouse.runner import StatementRunner
from local import up
from local.config import REPOSITORY, Config
from local.feed.simulator import FaultRates, FeedConfig, Simulator
from local.prepare import start_schedules
from local.tour import decide, draws
from tests.integration.draws_warehouse import draws_warehouse, rows
from tests.integration.pages_world import artifacts_at, in_airflow, sources_of, the_artifacts
from tests.integration.points_world import BATCH, World, new_world, small_world

pytestmark = pytest.mark.integration

ENTRY = REPOSITORY / "local" / "tour" / "entry"
SINCE = timedelta(hours=30)


# --- the year of draws ----------------------------------------------------------------------------------------
class Feed:
    """The simulated feed as `DemoContext.feed` reads it over HTTP, and a client in the place of its own."""

    def __init__(self, client: Any) -> None:
        self.until = datetime.now(UTC).replace(microsecond=0)
        self.since = self.until - SINCE
        # So many corrections that any 30 hours hold some.
        self.simulator = Simulator(FeedConfig(since=self.since, rates=FaultRates(corrected=0.05)))
        self.client = client

    def feed(self, path: str, **query: str) -> Any:
        if path == "/health":
            return {"since": self.since.isoformat()}
        moments = [datetime.fromisoformat(query[name]) for name in ("from", "to", "as_of")]
        found = [asdict(one) for one in self.simulator.truth(*moments)]
        for one in found:
            for name in ("timestamp", "created_at", "updated_at"):
                one[name] = one[name] and one[name].isoformat()
        return {"data": found}

    def bigquery(self) -> Any:
        return self.client

    def say(self, text: str) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def loaded(stack: Any) -> Iterator[Feed]:
    with (
        pytest.MonkeyPatch.context() as patch,
        draws_warehouse(stack, "V020__draws_14w", "V021__feature_update_log", "R__155_draws_14w_hourly_mv") as client,
    ):
        patch.setattr(draws, "PIECE", timedelta(hours=7))  # several pieces
        feed = Feed(client)
        with time_machine.travel(feed.until, tick=False):
            feed.loaded = draws.load_year(feed)  # type: ignore[attr-defined, arg-type]
        yield feed


def test_the_tables_hold_what_the_feed_shows(loaded: Feed) -> None:
    settings = get_settings()
    found = rows(
        loaded.client,
        f"SELECT * FROM {settings.table('target', 'draws')} WHERE timestamp > '2000-01-01' ORDER BY period",
    )
    truth = list(loaded.simulator.truth(loaded.since, loaded.until, as_of=loaded.until))
    assert len(found) == loaded.loaded > 300  # type: ignore[attr-defined]
    for draw, row in zip(truth, found, strict=True):
        assert (draw.period, draw.timestamp, list(draw.numbers)) == (row["period"], row["timestamp"], row["numbers"])
        assert (row["sum_value"], row["big_small"]) == (sum(draw.numbers), "big" if sum(draw.numbers) > 13 else "small")
        assert row["timestamp"] < row["created_at"] <= row["synced_at"] <= datetime.now(UTC)
    assert any(row["updated_at"] for row in found)


def test_the_pipeline_finds_nothing_to_do(loaded: Feed) -> None:
    warehouse = TargetRepository(loaded.client, dag_id="draw_sync", task_id="sync", memory=NoMemory())
    now = datetime.now(UTC)
    watermark = warehouse.watermark(now)
    assert watermark is not None
    assert timedelta() <= now - watermark < timedelta(minutes=10), "the next sync goes on from here"
    statements = StatementRunner(loaded.client, "feature_refresh", "refresh", BULK)
    table = FeatureTable(statements, HORIZON, BLOCK, lambda: datetime.now(UTC), NoMemory())
    assert table.changed() == [], "every draw has its features"
    settings = get_settings()
    different = rows(
        loaded.client,
        f"SELECT period FROM {settings.table('source', 'draws')} AS s FULL JOIN {settings.table('target', 'draws')} "
        "AS t USING (period, timestamp, sum_value, created_at) WHERE s.period IS NULL OR t.period IS NULL "
        "OR s.updated_at IS DISTINCT FROM t.updated_at OR s.ingested_at > t.synced_at",
    )
    assert different == []


def test_the_log_of_the_sync_has_no_gap_and_says_nothing_of_the_future() -> None:
    until = datetime(2026, 3, 10, 1, 2, 3, tzinfo=UTC)
    log = list(draws.sync_log(until - timedelta(hours=1), until))
    assert [one["interval_start"].minute for one in log] == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]
    assert all(one["interval_end"] - one["interval_start"] == timedelta(minutes=5) for one in log)
    assert all(one["interval_end"] <= one["finished_at"] <= until for one in log)


def test_the_schedules_of_the_draws_begin_and_no_other() -> None:
    tags = {"draw_sync": "draws", "feature_review": "draws", "heartbeat": "tier:0", "points_push": "points"}
    begun: list[tuple[str, bool]] = []
    api = SimpleNamespace(
        dags=lambda: {dag_id: {"tags": [{"name": tag}]} for dag_id, tag in tags.items()},
        pause=lambda dag_id, paused: begun.append((dag_id, paused)),
    )
    start_schedules(api, without=up.TOO_LARGE)  # type: ignore[arg-type]
    assert begun == [("draw_sync", False), ("heartbeat", False)]


# --- the button -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def world(stack: Any) -> Iterator[World]:
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    yield made
    close(made.governance)


@pytest.fixture
def site(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The pages and the tour beside them, with a review workbook and files that are none."""
    report = world.report()
    digest = world.repositories.batches.save_report(BATCH, "intranet", report.window, report.rows)
    folder = tmp_path / BATCH
    folder.mkdir()
    write_review(folder / f"review-{BATCH}.xlsx", ReviewHead(BATCH, digest, "intranet", report.window, {}), report.rows)
    (folder / "review-other.xlsx").touch()
    unused = [int(str(row.cells[0])) for row in report.rows if row.point_class is PointClass.UNUSED]
    monkeypatch.setattr(decide, "golden_points", lambda: tuple(unused[:1]))
    with artifacts_at(str(tmp_path)):
        airflow: FastAPI = in_airflow(sources_of(world, store=the_artifacts))
        airflow.mount(
            decide.TOUR, decide.tour_app(the_artifacts, lambda: SimpleNamespace(get_name=lambda: "requester"))
        )
        airflow.add_middleware(decide.Buttons)
        yield TestClient(airflow)


def test_a_review_workbook_has_a_button_and_nothing_else_has(site: TestClient) -> None:
    page = site.get("/operations/files?lang=en", headers={"Accept-Encoding": "gzip"})
    assert page.text.count("Decide as the golden case") == 1
    assert f'href="/tour/decided.xlsx?batch={BATCH}" download' in page.text
    assert int(page.headers["content-length"]) == len(page.content)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Decide as the golden case" not in site.get("/operations/points?lang=en").text
    assert site.get("/operations/static/pages.css").status_code == 200


def test_a_hostile_name_gets_no_button() -> None:
    for name in ('x"><script>alert(1)</script>', "a%2Fb", "x" * 41):
        page = f'<a href="/operations/files/workbooks?name={name}%2Freview-{name}.xlsx" download>review</a>'
        assert decide.with_buttons(page) == page


def test_the_file_decides_as_the_case_did_and_the_check_accepts_it(site: TestClient) -> None:
    given = site.get(f"/tour/decided.xlsx?batch={BATCH}")
    assert given.headers["content-disposition"] == f'attachment; filename="confirmed-{BATCH}.xlsx"'
    book = load_workbook(io.BytesIO(given.content))
    sheet = book[PointClass.UNUSED.label]
    decided = [
        (sheet.cell(row, len(EVIDENCE_COLUMNS) + 1).value, sheet.cell(row, len(EVIDENCE_COLUMNS) + 2).value)
        for row in range(FIRST_DATA_ROW, sheet.max_row + 1)
    ]
    assert {reviewer for _, reviewer in decided} == {"requester"}
    assert len({decision for decision, _ in decided}) == 2, "one goes, the others stay"
    shown = site.get("/operations/files?lang=en").text
    token = shown.split('name="token" value="')[1].split('"')[0]
    answer = site.post(
        "/operations/files/check",
        data={"token": token},
        files={"workbook": ("confirmed.xlsx", given.content)},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 200
    assert "The workbook is accepted" in answer.text


@pytest.mark.parametrize(("batch", "status"), [("unknown", 404), ("..", 422), ("a/b", 422), ("x" * 41, 422)])
def test_what_is_no_review_is_not_given(site: TestClient, batch: str, status: int) -> None:
    assert site.get("/tour/decided.xlsx", params={"batch": batch}).status_code == status


def test_who_may_not_see_the_files_gets_none() -> None:
    def refuse() -> None:
        raise HTTPException(403)

    client = TestClient(decide.tour_app(the_artifacts, lambda: None, [refuse]))
    assert client.get(f"/decided.xlsx?batch={BATCH}").status_code == 403


def test_only_the_embedded_stack_registers_it(tmp_path: Path) -> None:
    assert "drawsguard_tour" not in entry_points(group="airflow.plugins").names, "nothing but the path does"
    (found,) = distributions(path=[str(ENTRY)])
    assert [(one.name, one.value) for one in found.entry_points] == [
        ("drawsguard_tour", "local.tour.decide:TourPlugin")
    ]
    environment = Config(tmp_path, 1, {"PYTHONPATH": "/of/the/caller"}).airflow_environment()
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(REPOSITORY), str(ENTRY), "/of/the/caller"]
    production = [path for part in ("dags", "plugins", "include") for path in (REPOSITORY / part).rglob("*.py")]
    assert [path for path in production if "local.tour" in path.read_text("utf-8")] == []
