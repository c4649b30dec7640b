"""A BigQuery client under which a task dies, runs out of time, or meets what BigQuery does, at a chosen statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from google.api_core.exceptions import Forbidden, ServiceUnavailable
from google.cloud.bigquery import Client, QueryJob
from requests import exceptions as http

Kind = Literal["killed", "timed out", "refused once", "answer lost", "read-only", "over quota", "slow", "overlapped"]


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards, clean-up included, reaches the warehouse."""


class TimedOut(BaseException):
    """What Airflow raises in a task at its time limit: no `Exception`, and the task may still clean up."""


@dataclass(frozen=True)
class Fault:
    """What happens to a task at its statement number ``at`` (from 1).

    Of a task that is killed or timed out ``after`` says whether the engine still runs that statement. ``refused once``
    and ``answer lost`` pass by themselves; ``read-only`` and ``over quota`` refuse every statement from there on that
    writes. ``slow`` and ``overlapped`` call ``meanwhile`` before the statement.
    """

    kind: Kind
    at: int
    after: bool = False
    meanwhile: Callable[[], object] | None = None

    def __str__(self) -> str:
        when = ("after" if self.after else "before") if self.kind in ("killed", "timed out") else "at"
        return f"{self.kind} {when} statement {self.at}"


def _forbidden(message: str, reason: str) -> Forbidden:
    return Forbidden(message, errors=[{"reason": reason}])


def _writes(statement: str) -> bool:
    words = statement.lstrip().split(None, 1)
    return bool(words) and words[0].upper() in ("INSERT", "MERGE", "UPDATE", "DELETE")


class FaultyClient:
    """A client like the one that it is given, except for the fault that `arm` announces."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._fault: Fault | None = None
        self._dead = False
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def arm(self, fault: Fault | None) -> None:
        """Begin a task: count its statements from 1 and let ``fault`` happen to it."""
        self._fault, self._dead, self.statements = fault, False, 0

    def query(self, text: str, *arguments: Any, **options: Any) -> QueryJob:
        """Run a statement as the client does, or let the fault happen."""
        if self._dead:
            raise Killed
        self.statements += 1
        fault = self._fault
        if fault is not None and fault.kind in ("read-only", "over quota"):
            if self.statements >= fault.at and _writes(text):
                if fault.kind == "read-only":
                    raise _forbidden("Access Denied: the dataset is read-only", "accessDenied")
                raise _forbidden("Quota exceeded: table update operations of this table", "quotaExceeded")
        elif fault is not None and self.statements == fault.at:
            return self._befall(fault, text, *arguments, **options)
        return self._client.query(text, *arguments, **options)

    def _befall(self, fault: Fault, text: str, *arguments: Any, **options: Any) -> QueryJob:
        if fault.meanwhile is not None:
            self._fault = None
            fault.meanwhile()
            return self._client.query(text, *arguments, **options)
        if fault.kind == "refused once":
            raise ServiceUnavailable("The service is currently unavailable.", errors=[{"reason": "backendError"}])
        if fault.after or fault.kind == "answer lost":
            self._client.query(text, *arguments, **options).result()
        if fault.kind == "answer lost":
            raise http.ConnectionError("Connection aborted: the answer never came")
        if fault.kind == "killed":
            self._dead = True
            raise Killed
        raise TimedOut
