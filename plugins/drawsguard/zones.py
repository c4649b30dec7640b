"""Zones by the locked zone data: those of the host, which `ZoneInfo` reads first, may be years old.

British Columbia stays on UTC−7 from 2026 on; a host whose data end before that puts the feed's pause an hour late.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo


@cache
def locked_zone(name: str) -> ZoneInfo:
    """Return a zone as the locked package ``tzdata`` knows it.

    :param name: such as ``America/Vancouver``.
    :raises ValueError: when the package has no such zone.
    """
    *folders, city = name.split("/")
    try:
        with resources.files(".".join(["tzdata.zoneinfo", *folders])).joinpath(city).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ModuleNotFoundError, ValueError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error
