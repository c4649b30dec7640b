"""Whether a person had paused a DAG for a time, by what Airflow's audit log says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

#: The last run before a pause and the first after it are so close to it.
SLACK = timedelta(minutes=5)


def was_paused(events: Iterable[Mapping[str, Any]], since: datetime, until: datetime) -> bool:
    """Return whether a DAG was paused all the time between two moments (aware), but for `SLACK` at both ends.

    :param events: what the audit log says of changes of the DAG: ``when`` (ISO), ``extra`` (JSON with ``is_paused``).
    """
    switches = sorted(
        (datetime.fromisoformat(event["when"]), paused)
        for event in events
        if (paused := _is_paused(event.get("extra"))) is not None
    )
    began: datetime | None = None
    for at, paused in switches:
        if paused:
            began = began or at
        elif began is not None and at > since:
            return began <= since + SLACK and at >= until - SLACK
        else:
            began = None
    return False


def _is_paused(extra: str | None) -> bool | None:
    try:
        value = json.loads(extra or "null")
    except ValueError:
        return None
    paused = value.get("is_paused") if isinstance(value, dict) else None
    return paused if isinstance(paused, bool) else {"true": True, "false": False}.get(str(paused).lower())
