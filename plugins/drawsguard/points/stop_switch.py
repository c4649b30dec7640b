"""How the stop switches of the points lifecycle are read."""

from __future__ import annotations

#: What lets the work go on. A switch that cannot be understood stops.
_GOES_ON = frozenset({"", "0", "false", "no", "off"})


def stops(value: object) -> bool:
    """Return whether the value of a stop switch (an Airflow Variable) stops the work; empty: it was never set."""
    return str(value).strip().lower() not in _GOES_ON
