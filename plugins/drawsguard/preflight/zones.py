"""Zone data: the locked ones know the feed's pause; every engine that computes with the business's zone tells it alike.

No statement names the zone of the feed's maintenance: its offsets are rendered (`drawsguard.schema_constants`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from drawsguard.points.database import fetch
from drawsguard.points.telemetry.hive_source import fetch as fetch_hive
from drawsguard.preflight.model import Check, Finding, World, failed, passed, warned
from drawsguard.warehouse.limits import ROUTINE
from drawsguard.warehouse.runner import StatementRunner
from drawsguard.zones import locked_zone

PART = "Zone data"

#: Instants at which old and new zone data differ: British Columbia stays on UTC−7 from 2026 on (tz 2026b).
MOMENTS = tuple(
    datetime(year, month, 15, 12, tzinfo=UTC) for year, month in ((2026, 7), (2026, 11), (2027, 1), (2027, 7))
)

#: What is known, from tz 2026b: zone → moment → local time.
KNOWN = {("America/Vancouver", MOMENTS[1]): "2026-11-15 05:00:00"}

_UPDATE = (
    "把该引擎的时区数据、或 requirements.lock 中的 tzdata 更新到 tz 2026b 或更新的版本。"
    "Update the zone data of the engine, or tzdata in requirements.lock, to tz 2026b or later."
)


def _questions(world: World) -> list[tuple[str, datetime]]:
    return [(world.settings.business_timezone, moment) for moment in MOMENTS]


def told_by_python(zone: str, moment: datetime) -> str:
    """Return an instant (aware) in a zone of the locked zone data, as ``yyyy-MM-dd HH:mm:ss``."""
    return f"{moment.astimezone(locked_zone(zone)):%Y-%m-%d %H:%M:%S}"


def python(world: World) -> Iterator[Finding]:
    """The locked zone data know what is known."""
    wrong = [
        f"{zone} {moment:%Y-%m-%dT%H:%MZ} = {told}，应为 expected {known}"
        for (zone, moment), known in KNOWN.items()
        if (told := told_by_python(zone, moment)) != known
    ]
    if wrong:
        # What is alike everywhere agrees with itself; an engine that differs fails below.
        yield warned("; ".join(wrong), _UPDATE)
    else:
        zones = dict.fromkeys((world.settings.maintenance_timezone, world.settings.business_timezone))
        yield passed(", ".join(f"{zone}: {told_by_python(zone, MOMENTS[1])}" for zone in zones))


def engine(world: World, name: str) -> Iterator[Finding]:
    """An engine tells every instant as Python does."""
    told = _TOLD[name](world)
    if None in told.values():
        unknown = ", ".join(dict.fromkeys(zone for (zone, _), text in told.items() if text is None))
        yield warned(
            f"没有时区数据 no zone data: {unknown}",
            "语句不用具名时区，可以没有；否则 mysql_tzinfo_to_sql /usr/share/zoneinfo。"
            "No statement names a zone there, so none is "
            "needed; mysql_tzinfo_to_sql loads them.",
        )
        return
    differing = [
        f"{zone} {moment:%Y-%m-%dT%H:%MZ} = {text}, Python {ours}"
        for (zone, moment), text in told.items()
        if text != (ours := told_by_python(zone, moment))
    ]
    if not differing:
        yield passed(f"{len(told)} 个时刻一致 instants alike")
    elif name == "BigQuery" and world.bigquery_emulator:
        yield warned("; ".join(differing), f"模拟器自带时区数据。The emulator has zone data of its own. {_UPDATE}")
    else:
        yield failed("; ".join(differing), _UPDATE)


Told = dict[tuple[str, datetime], str | None]


def _bigquery(world: World) -> Told:
    runner = StatementRunner(world.warehouse(), "preflight", "preflight", ROUTINE)
    return {
        (zone, moment): str(runner.rows("preflight/local_time.sql", zone=zone, moment=moment)[0]["local_time"])
        for zone, moment in _questions(world)
    }


def _hive(world: World) -> Told:
    with world.hive() as connection:
        return {
            (zone, moment): str(
                fetch_hive(
                    connection, "preflight/local_time.sql", {"zone": zone, "moment": f"{moment:%Y-%m-%d %H:%M:%S}"}
                )[0][0]
            ).split(".")[0]
            for zone, moment in _questions(world)
        }


def _mysql(world: World) -> Told:
    with world.mysql(world.settings.governance_mysql_conn_id) as connection:
        found: Told = {}
        for zone, moment in _questions(world):
            values = {"zone": zone, "moment": f"{moment:%Y-%m-%d %H:%M:%S}"}
            ((text,),) = fetch(connection, "preflight/local_time.sql", values)
            found[zone, moment] = None if text is None else str(text).split(".")[0]
        return found


_TOLD = {"BigQuery": _bigquery, "Hive": _hive, "MySQL": _mysql}

#: Each is a part of its own: an engine that is away must not hide what the others tell.
CHECKS = (
    Check(PART, "python", "Python", python, _UPDATE),
    *(Check(f"{PART}: {name}", name.lower(), name, partial(engine, name=name), _UPDATE, seconds=120) for name in _TOLD),
)
