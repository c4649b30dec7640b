"""Whether a person had paused a DAG for a time, by what Airflow's audit log says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

log = logging.getLogger(__name__)

#: The last run before a pause and the first after it are so close to it.
SLACK = timedelta(minutes=5)

#: What the command line leaves in the audit log says by its name which of the two it was.
_COMMANDS = {"cli_dag_pause": True, "cli_dag_unpause": False}
#: Changes of one DAG: in the UI or by REST, and by the command line.
OF_ONE_DAG = ("patch_dag", *_COMMANDS)
#: A change of all DAGs that a pattern matches, by REST; its event names none of them.
OF_MANY_DAGS = "patch_dags"

#: An answer that cannot be had is waited for in so many rounds.
UNREAD_ROUNDS = 5


def was_paused(events: Iterable[Mapping[str, Any]], since: datetime, until: datetime) -> bool:
    """Return whether a DAG was paused all the time between two moments (aware), but for `SLACK` at both ends.

    :param events: what the audit log says of changes of the DAG: ``when`` (ISO), ``event``, ``extra`` (JSON).
    """
    switches = sorted(
        (datetime.fromisoformat(event["when"]), paused) for event in events if (paused := _is_paused(event)) is not None
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


def concerns(event: Mapping[str, Any], dag_id: str) -> bool:
    """Return whether an event of `OF_MANY_DAGS` changed a DAG for sure.

    Airflow takes the pattern for a part of the name; what else narrowed the choice cannot be judged afterwards.
    """
    extra = _extra(event)
    terms = [term.strip("~% ").lower() for term in str(extra.get("dag_id_pattern") or "").split("|") if term.strip()]
    return any(term in dag_id.lower() for term in terms) and not (extra.get("tags") or extra.get("owners"))


def _is_paused(event: Mapping[str, Any]) -> bool | None:
    if event.get("event") in _COMMANDS:
        return _COMMANDS[event["event"]]
    paused = _extra(event).get("is_paused")
    return paused if isinstance(paused, bool) else {"true": True, "false": False}.get(str(paused).lower())


def _extra(event: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        value = json.loads(event.get("extra") or "null")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class _Absence(BaseModel):
    """What is known of one.

    :param unread: how often no answer could be had.
    """

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    paused: bool = False
    unread: int = 0


class Pauses:
    """Whether an absence of the monitor was a pause, asked in each round in which a check sees the absence.

    A pause stays one. An answer that cannot be had is no reason for an alert at once: Airflow's API restarts.

    :param ask: tells it of the time between two moments (aware); None when it cannot be read.
    :param kept: what the round before left, see `left`.
    """

    def __init__(self, ask: Callable[[datetime, datetime], bool | None], kept: object = None) -> None:
        self._ask = ask
        self._known: _Absence | None = None
        try:
            self._known = _Absence.model_validate_json(kept) if isinstance(kept, str) else None
        except ValidationError as error:
            log.warning("What the round before knew of a pause cannot be read; Airflow is asked again: %s", error)

    def __call__(self, since: datetime, until: datetime) -> bool:
        """Return whether the time between two moments (aware) was a pause, or may have been one."""
        known = self._known
        if known is None or (known.since, known.until) != (since, until):
            known = self._known = _Absence(since=since, until=until)
        if known.paused:
            return True
        answer = self._ask(since, until)
        known.paused, known.unread = bool(answer), known.unread + (answer is None)
        return known.paused or (answer is None and known.unread <= UNREAD_ROUNDS)

    def left(self) -> str | None:
        """Return what the next round may start from."""
        return None if self._known is None else self._known.model_dump_json()
