"""Scheduled intervals of draw_sync that really fail: one is replayed after its cause was repaired, one is set aside.

Somebody rewrites a draw of each interval, with digits that were never collected and a version newer than all that
were. No MERGE overwrites it, so the verification fails through all its retries, and Airflow's callback publishes the
interval to Pub/Sub.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from drawsguard import sql
from drawsguard.warehouse.job_configuration import query_config
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import SQL, DemoContext

SLOT = timedelta(minutes=5)
#: How long before the demo's start the two intervals end. Each looks back an hour: neither sees the other's draw, and
#: no live interval sees either.
REPAIRED, LEFT = timedelta(hours=2.5), timedelta(hours=5)


@dataclass(frozen=True)
class Accident:
    """A draw that was rewritten, and its interval."""

    period: int
    digits: list[int]
    start: datetime

    @property
    def bounds(self) -> dict[str, datetime]:
        return {"window_start": self.start, "window_end": self.start + SLOT}


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Let two intervals fail, repair the cause of one, replay both, and sync the other's range as a person would."""
    api.pause("draw_sync_replay", paused=True)  # it must not read the dead letters before the first cause is repaired
    repaired, left = (_accident(context, ago) for ago in (REPAIRED, LEFT))
    for accident in (repaired, left):
        _contradict(context, accident)
    context.say("two draws were rewritten outside the pipeline; their intervals are going to fail")
    for accident in (repaired, left):
        api.wait_backfill(api.backfill("draw_sync", accident.start, accident.start), timeout=900)

    _delete(context, repaired)
    context.say("both failed, and wait in Pub/Sub; one cause was repaired; draw_sync_replay reads them")
    api.pause("draw_sync_replay", paused=False)
    _replay_until(api, context, "an interval to be replayed and the other to fail again", replayed=1, failed=2)
    _replay_until(api, context, "the interval that fails again to be set aside", set_aside=1)

    _delete(context, left)
    window = {"from": left.start.isoformat(), "to": (left.start + SLOT).isoformat()}
    api.trigger_and_wait("draw_sync", window, timeout=900)
    return _figures(context)


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    left = section["failed"] - section["replayed"] - section["set_aside"]
    wrong = [f"{left} dead letters are not settled"] if left else []
    if section["failed"] < 2:
        wrong.append(f"{section['failed']} failed intervals reached the replay, expected two")
    if section["set_aside"] != 1:
        wrong.append(f"{section['set_aside']} intervals were set aside, expected the one whose cause was not repaired")
    return wrong


def _accident(context: DemoContext, ago: timedelta) -> Accident:
    """Choose the first five-minute interval from ``ago`` before the demo's start on that holds a draw."""
    begin = context.started - ago
    begin -= (begin - datetime.fromtimestamp(0, UTC)) % SLOT
    rows = context.query("target_draws.sql", window_start=begin, window_end=begin + timedelta(hours=1))
    numbers = {row["period"]: row["numbers"] for row in rows}
    window = {"from": begin.isoformat(), "to": (begin + timedelta(hours=1)).isoformat()}
    draw = next(draw for draw in context.feed("/truth", **window)["data"] if draw["period"] in numbers)
    at = datetime.fromisoformat(draw["timestamp"])
    digits = [(digit + 5) % 10 for digit in numbers[draw["period"]]]
    return Accident(draw["period"], digits, at - (at - begin) % SLOT)


def _contradict(context: DemoContext, accident: Accident) -> None:
    values = {"digits": accident.digits, "total": sum(accident.digits), "stamp": datetime.now(UTC) + timedelta(days=1)}
    _change(context, "contradict_draw.sql", {}, period=accident.period, **values, **accident.bounds)


def _delete(context: DemoContext, accident: Accident) -> None:
    names = {"dataset": context.settings.target_dataset}
    _change(context, "lose_draws.sql", names, periods=[accident.period], **accident.bounds)


def _change(context: DemoContext, path: str, names: dict[str, str], **values: Any) -> None:
    configuration = query_config(path, "demo", "dead_letters", values)
    context.bigquery().query(sql.render_from(SQL, path, **names), job_config=configuration).result()


def _replay_until(api: AirflowApi, context: DemoContext, what: str, **expected: int) -> None:
    """Start replays until the figures are as expected; a run with an interval that fails again is a failed run."""

    def reached() -> bool:
        run_id = api.trigger("draw_sync_replay")
        wait_for(f"the replay {run_id}", lambda: _has_ended(api, run_id), timeout=900)
        figures = _figures(context)
        return all(figures[name] >= count for name, count in expected.items())

    wait_for(what, reached, timeout=900, pause=1)


def _has_ended(api: AirflowApi, run_id: str) -> bool:
    return api.run("draw_sync_replay", run_id)["state"] in ("success", "failed")


def _figures(context: DemoContext) -> dict[str, int]:
    return context.query("dead_letters.sql", since=context.started)[0]
