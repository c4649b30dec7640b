"""The main job under a running scheduler: what `make demo` plays first, held against the simulator's truth."""

from __future__ import annotations

import pytest

from local.airflow_api import AirflowApi, ApiError
from local.demo.__main__ import verdict

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def summary(main_job):
    """The figures of the main job, read back from the stores after it was played once."""
    return main_job.result()


def test_every_promise_of_the_main_job_is_kept(summary):
    assert verdict(summary) == []


def test_bulk_range_backfill_and_schedule_all_synced(summary):
    runs = summary["draws"]["runs"]
    assert runs["manual"] >= 3
    assert runs["backfill"] == 12
    assert runs["scheduled"] >= 1


def test_fresh_draws_arrive_within_what_the_schedule_allows(summary):
    # One five-minute slot, the collector's poll, and the held run; the bound is loose on a busy machine.
    assert 0 < summary["draws"]["latency_p50_s"] <= summary["draws"]["latency_p99_s"] < 600


def test_a_miss_is_mailed_and_none_twice(summary):
    assert 1 <= summary["sla"]["mails"] <= summary["sla"]["misses"]
    assert len(set(summary["sla"]["subjects"])) == summary["sla"]["mails"]


@pytest.mark.parametrize("value", [5, "yesterday", "2025-10-03", "2025-10-03T09:00:00"])
def test_a_param_that_is_no_time_with_a_zone_is_refused_by_the_trigger(summary, airflow: AirflowApi, value):
    with pytest.raises(ApiError) as refusal:
        airflow.trigger("draw_sync", {"from": value, "to": "2025-10-04T00:00:00+08:00"})
    assert refusal.value.status == 400


def test_a_range_in_the_wrong_order_fails_the_run_before_anything_is_written(summary, airflow: AirflowApi):
    with pytest.raises(ApiError, match="of draw_sync failed in"):
        airflow.trigger_and_wait("draw_sync", {"from": "2025-10-03T09:00:00Z", "to": "2025-10-03T08:00:00Z"})


def test_a_user_who_is_not_signed_in_sees_nothing(airflow: AirflowApi):
    stranger = AirflowApi(airflow.url, "stranger", "guess")
    with pytest.raises(ApiError, match="could not sign in"):
        stranger.dags()
