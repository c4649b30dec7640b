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
from operators.operations.alert_digest_operator import AlertDigestOperator, window_start
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


def run_of(first: bool, late: timedelta) -> dict[str, Any]:
    """Return what the task of a run sees that begins so long after its slot."""
    run = SimpleNamespace(
        run_type="scheduled", data_interval_start=SLOT - DAY, data_interval_end=SLOT, start_date=SLOT + late
    )
    previous = None if first else SimpleNamespace(state="success")
    return {"dag_run": run, "run_id": "r", "ti": SimpleNamespace(get_previous_dagrun=lambda: previous)}


@pytest.mark.parametrize(
    ("first", "late", "paused", "skipped"),
    [
        (False, 3 * HOUR, True, True),
        (False, 3 * HOUR, False, False),  # Airflow was down
        (False, HOUR, True, False),
        (True, 3 * HOUR, False, True),  # switched on after the slot
    ],
)
def test_who_can_tell_a_pause_from_an_outage_makes_what_an_outage_delayed(
    first: bool, late: timedelta, paused: bool, skipped: bool
) -> None:
    asked: list[tuple[datetime, datetime]] = []

    def was_paused(*of: datetime) -> bool:
        asked.append(of)  # type: ignore[arg-type]
        return paused

    if skipped:
        with pytest.raises(AirflowSkipException, match="paused or new"):
            skip_missed_slot(run_of(first, late), was_paused)
    else:
        skip_missed_slot(run_of(first, late), was_paused)
    assert asked == ([] if first or late < 2 * HOUR else [(SLOT, SLOT + late)])


def test_a_digest_that_an_outage_delayed_asks_whether_it_was_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(alert_digest_operator, "dag_was_paused", lambda dag_id, *_: asked.append(dag_id) or False)

    def reached(*_: object, **__: object) -> None:
        raise ConnectionError("the warehouse is asked")

    monkeypatch.setattr(alert_digest_operator, "warehouse_client", reached)
    operator = AlertDigestOperator(task_id="d")
    with pytest.raises(ConnectionError, match="the warehouse is asked"):
        operator.execute(run_of(False, 3 * HOUR))  # type: ignore[arg-type]
    assert asked == [operator.dag_id]


@pytest.mark.parametrize(
    ("told_until", "since"),
    [
        ([], 7 * DAY),  # a first start
        ([SLOT - DAY], DAY + 5 * MINUTE),
        ([SLOT - 2 * DAY, SLOT - 3 * DAY], 2 * DAY + 5 * MINUTE),  # a failed or skipped one between
        ([SLOT - 9 * DAY], 7 * DAY),
    ],
)
def test_a_digest_reaches_back_to_the_last_one_that_was_accepted(told_until: list[datetime], since: timedelta) -> None:
    assert window_start([one.isoformat() for one in told_until], SLOT) == SLOT - since


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
