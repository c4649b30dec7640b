"""What is asked of Airflow's REST API about later runs is what this version of it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import airflow
import pytest
import requests
import yaml

from hooks.later_runs import MOST, runs_if_known, runs_since
from hooks.preflight_connections import PreflightConnections

API = Path(airflow.__file__).parent / "api_fastapi/core_api/openapi/v2-rest-api-generated.yaml"


def test_the_runs_since_are_a_page_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: Any, path: str) -> dict[str, Any]:
        asked.append(path)
        return {"dag_runs": [{"dag_run_id": "scheduled__1"}]}

    monkeypatch.setattr(PreflightConnections, "airflow", answer)
    moment = datetime(2025, 10, 3, 7, tzinfo=UTC)
    assert runs_since("points_push", moment) == [{"dag_run_id": "scheduled__1"}]
    (url,) = map(urlsplit, asked)
    query = dict(parse_qsl(url.query))
    assert (url.path, query["run_after_gte"]) == ("/dags/points_push/dagRuns", moment.isoformat())

    spec = yaml.load(API.read_text("utf-8"), Loader=yaml.CSafeLoader)
    parameters = {
        one["name"]: one["schema"] for one in spec["paths"]["/api/v2/dags/{dag_id}/dagRuns"]["get"]["parameters"]
    }
    assert set(query) <= set(parameters)
    assert int(query["limit"]) == MOST
    schemas = spec["components"]["schemas"]
    assert "dag_runs" in schemas["DAGRunCollectionResponse"]["properties"]
    shown = schemas["DAGRunResponse"]["properties"]
    assert {"dag_run_id", "run_type", "run_after", "state", "conf"} <= set(shown)


@pytest.mark.parametrize("error", [LookupError("no connection"), requests.ConnectionError(), requests.HTTPError("403")])
def test_what_airflow_does_not_tell_is_not_known(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_: Any, _path: str) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(PreflightConnections, "airflow", refuse)
    assert runs_if_known("points_push", datetime(2025, 10, 3, 7, tzinfo=UTC)) is None
