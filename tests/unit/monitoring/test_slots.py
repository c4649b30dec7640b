"""Reports of slots that nobody was there for are not made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.monitoring.slots import is_missed_slot
from hooks.scheduled_slot import skip_missed_slot
from operators.operations import alert_digest_operator, inspection_operator
from operators.operations.alert_digest_operator import AlertDigestOperator
from operators.operations.inspection_operator import InspectionOperator

SLOT = datetime(2025, 10, 3, 0, 30, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("length", "late", "first", "missed"),
    [
        (DAY, MINUTE, True, False),
        (DAY, 6 * MINUTE, True, True),  # switched on after the slot
        (DAY, 6 * MINUTE, False, False),  # a restart
        (DAY, 2 * HOUR, False, False),
        (DAY, 3 * HOUR, False, True),  # a pause
        (7 * DAY, 3 * HOUR, False, False),
        (7 * DAY, DAY, False, True),
        (30 * DAY, 2 * DAY, False, False),  # an outage at the turn of the month
        (30 * DAY, 2 * DAY, True, True),
    ],
)
def test_a_slot_is_missed(length: timedelta, late: timedelta, first: bool, missed: bool) -> None:
    assert is_missed_slot("scheduled", (SLOT - length, SLOT), SLOT + late, first=first) is missed


def test_what_a_person_asks_for_is_made_at_any_time() -> None:
    for kind in ("manual", "backfill"):
        assert not is_missed_slot(kind, (SLOT - DAY, SLOT), SLOT + 9 * DAY, first=True)
    skip_missed_slot({"dag_run": SimpleNamespace(run_type="manual"), "ti": None})


@pytest.mark.parametrize("operator", [InspectionOperator(task_id="i", kind="daily"), AlertDigestOperator(task_id="d")])
def test_nothing_is_read_or_sent_for_a_missed_slot(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("BigQuery was asked")

    for module in (inspection_operator, alert_digest_operator):
        monkeypatch.setattr(module, "warehouse_client", never)
    run = SimpleNamespace(
        run_type="scheduled", data_interval_start=SLOT - DAY, data_interval_end=SLOT, start_date=SLOT + 9 * HOUR
    )
    context = {"dag_run": run, "run_id": "r", "ti": SimpleNamespace(get_previous_dagrun=lambda: None)}
    with pytest.raises(AirflowSkipException, match="paused or new"):
        operator.execute(context)
