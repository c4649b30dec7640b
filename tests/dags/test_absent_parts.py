"""A company without Cloud Run, the legacy feed or an extranet: one setting, and the rest works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.dag_processing.dagbag import DagBag

from drawsguard.access import ACCESS
from drawsguard.monitoring.checks import checks_in_force, load_checks
from drawsguard.parts import DAGS as DAGS_OF
from drawsguard.parts import PARTS, parse_parts
from drawsguard.points.environments import as_environment, environments
from drawsguard.points.schema import servers
from drawsguard.points.telemetry.config import points_config, scheduled_flows
from drawsguard.preflight.catalogue import checks
from drawsguard.settings import REPOSITORY, SettingsError, get_settings
from tests.dags.expected import DAGS


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    monkeypatch.setenv("DRAWSGUARD_ABSENT_PARTS", request.param)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def load() -> DagBag:
    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    return bag


ALL = pytest.mark.parametrize("without", ["cloud_run, legacy_feed,extranet"], indirect=True)


@ALL
def test_dags_of_absent_parts_do_not_exist_and_all_others_do(without: None) -> None:
    bag = load()
    assert set(bag.dag_ids) == set(DAGS) - {"oidc_checks", "oidc_repair", "points_hive_daily"}
    assert list(bag.dags["points_push"].params["flows"]) == ["window"]
    downline = set(bag.dags["points_downline"].task_ids)
    assert "downline_intranet" in downline
    assert not {task for task in downline if task.endswith("_extranet")}
    assert bag.dags["points_downline"].get_task("verify_intranet").downstream_task_ids == {"report"}
    assert "extranet" not in bag.dags["points_schema"].task_ids
    for dag_id in ("points_restore", "points_usage_report", "points_lifetime_report"):
        param = bag.dags[dag_id].params.get_param("environment")
        assert (param.schema["enum"], param.value) == (["intranet"], "intranet")


@pytest.mark.parametrize("without", [""], indirect=True)
def test_nothing_is_absent_unless_somebody_says_so(without: None) -> None:
    assert environments() == ("intranet", "extranet")
    assert servers() == ("governance", "intranet", "extranet")
    assert scheduled_flows(points_config()) == ("window", "daily")
    assert checks_in_force() == load_checks()


@ALL
def test_nothing_waits_for_what_only_an_absent_part_could_answer(without: None) -> None:
    left = {check.name for check in load_checks().checks} - {check.name for check in checks_in_force().checks}
    assert left == {"identities_pass", "scheduler_jobs_succeed", "services_answer_without_errors"}
    assert not {check.dag for check in checks_in_force().checks} & {dag for dags in DAGS_OF.values() for dag in dags}
    assert scheduled_flows(points_config()) == ("window",)
    assert servers() == ("governance", "intranet")
    looked_at = checks()
    assert len(looked_at) > 30
    assert not [check for check in looked_at if "extranet" in check.part or check.name == "feed"]
    assert checks(["identity"]) == ()


@ALL
def test_the_extranet_cannot_be_asked_for(without: None) -> None:
    with pytest.raises(ValueError, match=r"environment is 'extranet', expected one of intranet\."):
        as_environment("extranet")


def test_a_part_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWSGUARD_ABSENT_PARTS", "cloudrun")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match=r"DRAWSGUARD_ABSENT_PARTS: .*cloudrun is no part; there are cloud_run"):
        get_settings()
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_dags_of_each_part_exist() -> None:
    assert set(DAGS_OF) == set(PARTS)
    assert {dag for dags in DAGS_OF.values() for dag in dags} <= set(ACCESS) & set(DAGS)
    assert parse_parts(" extranet,, ") == {"extranet"}
