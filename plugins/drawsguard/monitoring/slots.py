"""Which scheduled reports are made: those of a slot that has just passed, not those that nobody was there to make."""

from __future__ import annotations

from datetime import datetime, timedelta

#: The first run of a DAG may begin so long after its slot: a slot before the DAG was switched on was nobody's.
PROMPT = timedelta(minutes=5)
#: A later one may be late by this share of the time between two slots, e.g. after a restart.
LATE_SHARE = 0.1


def is_missed_slot(run_type: str, interval: tuple[datetime, datetime], started_at: datetime, *, first: bool) -> bool:
    """Whether a scheduled run is for a slot that was missed: at a first start, or after a pause.

    Airflow creates one run when a DAG is switched on, for the last slot, whenever that was.

    :param run_type: Airflow's type of the run, e.g. ``scheduled``.
    :param interval: its data interval (aware); its end is the slot.
    :param started_at: when the run began (aware).
    :param first: whether no scheduled run came before it.
    """
    if run_type != "scheduled":
        return False
    begin, slot = interval
    return started_at - slot > (PROMPT if first else max(PROMPT, (slot - begin) * LATE_SHARE))
