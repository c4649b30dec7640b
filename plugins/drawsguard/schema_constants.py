"""What the settings say inside views and functions, which take no parameters: rendered into them as literals.

A zone's offsets from UTC come from the locked zone data, so that the warehouse needs none of its own: what is in
maintenance is in maintenance for both. A migration that names one of these constants is applied again when its value
changes (`drawsguard.warehouse.migrations`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from drawsguard.settings import IDENTIFIER_PATTERN, Settings, config_file
from drawsguard.zones import locked_zone

#: Between these times the offsets of a zone are rendered; beyond them the nearest one holds.
FIRST, LAST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)

#: From the start of a day's maintenance, 04:00, to the next day.
BEFORE_MAINTENANCE = timedelta(hours=20)

Constants = Mapping[str, Any]


def schema_constants(settings: Settings) -> Constants:
    """Return the constants by the name that a file calls them by.

    ``draw_interval_seconds``; ``maintenance_offsets``: see `offsets`; ``services``: name, job and
    ``max_silence_minutes`` of each of services.yaml.

    :raises ValueError: when services.yaml holds something that is no plain name or number.
    """
    return {
        "draw_interval_seconds": settings.draw_interval_seconds,
        "maintenance_offsets": offsets(locked_zone(settings.maintenance_timezone)),
        "services": _services(),
    }


@cache
def offsets(zone: ZoneInfo) -> list[tuple[str, str, int]]:
    """Return which offset (seconds) a zone has and from when on, newest first; the last one holds before, too.

    From when on: as ``YYYY-MM-DD HH:MM:SS`` in UTC, and as the first local day at whose maintenance it holds.
    """

    def offset(moment: datetime) -> int:
        shift = moment.astimezone(zone).utcoffset()
        return round(shift.total_seconds()) if shift is not None else 0

    found = [(FIRST, offset(FIRST))]
    moment = FIRST
    while moment < LAST:
        after = moment + timedelta(days=1)
        if offset(after) != offset(moment):
            same, other = moment, after  # the change lies between them: to the second
            while other - same > timedelta(seconds=1):
                middle = (same + (other - same) // 2).replace(microsecond=0)
                same, other = (middle, other) if offset(middle) == offset(same) else (same, middle)
            found.append((other, offset(other)))
        moment = after
    return [
        (f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment + timedelta(seconds=value) + BEFORE_MAINTENANCE:%Y-%m-%d}", value)
        for moment, value in reversed(found)
    ]


def _services() -> list[dict[str, Any]]:
    found = []
    for entry in yaml.safe_load(config_file("services.yaml").read_text(encoding="utf-8"))["services"]:
        for key in ("name", "job"):
            if not re.fullmatch(IDENTIFIER_PATTERN, str(entry.get(key))):
                raise ValueError(f"services.yaml: {key} {entry.get(key)!r} is no plain name ({IDENTIFIER_PATTERN}).")
        silence = entry.get("max_silence_minutes")
        if not re.fullmatch("[0-9]+", str(silence)):
            raise ValueError(f"services.yaml: max_silence_minutes of {entry['name']} is {silence!r}, no number.")
        found.append({"name": entry["name"], "job": entry["job"], "max_silence_minutes": silence})
    return found
