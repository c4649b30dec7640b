"""Every check, in the order of the report."""

from __future__ import annotations

from collections.abc import Collection

from drawsguard.preflight import (
    airflow,
    bigquery,
    channels,
    google_identity,
    hive,
    mail,
    mysql,
    nos,
    pubsub,
    redis_instances,
    zones,
)
from drawsguard.preflight.model import Check

#: What can be looked at alone → its checks.
AREAS: dict[str, tuple[Check, ...]] = {
    "airflow": airflow.CHECKS,
    "bigquery": bigquery.CHECKS,
    "pubsub": pubsub.CHECKS,
    "identity": google_identity.CHECKS,
    "hive": hive.CHECKS,
    "mysql": mysql.CHECKS,
    "redis": redis_instances.CHECKS,
    "nos": nos.CHECKS,
    "mail": mail.CHECKS,
    "alerts": channels.CHECKS,
    "zones": zones.CHECKS,
}


def checks(areas: Collection[str] = ()) -> tuple[Check, ...]:
    """Return the checks of some areas, of all when none is named.

    :raises ValueError: naming an area that there is not.
    """
    if unknown := set(areas) - AREAS.keys():
        raise ValueError(f"There is no area {', '.join(sorted(unknown))}; known: {', '.join(AREAS)}.")
    return tuple(check for area, found in AREAS.items() if not areas or area in areas for check in found)
