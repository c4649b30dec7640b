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
    watcher,
    zones,
)
from drawsguard.preflight.model import Check
from drawsguard.settings import get_settings

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
    "watcher": watcher.CHECKS,
    "zones": zones.CHECKS,
}


def checks(areas: Collection[str] = ()) -> tuple[Check, ...]:
    """Return the checks of some areas, of all when none is named.

    :raises ValueError: naming an area that there is not.
    """
    if unknown := set(areas) - AREAS.keys():
        raise ValueError(f"There is no area {', '.join(sorted(unknown))}; known: {', '.join(AREAS)}.")
    found = (check for area, one in AREAS.items() if not areas or area in areas for check in one)
    return tuple(check for check in found if _is_present(check))


def _is_present(check: Check) -> bool:
    """Return whether what the check looks at exists in this company."""
    absent = get_settings().absent
    return not (
        ("cloud_run" in absent and check in google_identity.CHECKS)
        or ("legacy_feed" in absent and check.name == "feed" and check in hive.CHECKS)
        or ("extranet" in absent and "extranet" in check.part)
    )
