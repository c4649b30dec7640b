"""A BigQuery client under which a task dies, or runs out of time, at a statement that is chosen beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from google.cloud.bigquery import Client, QueryJob


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards, clean-up included, reaches the warehouse."""


class TimedOut(BaseException):
    """What Airflow raises in a task at its time limit: no `Exception`, and the task may still clean up."""


@dataclass(frozen=True)
class Fault:
    """What happens to a task at its statement number ``at`` (from 1), and whether the engine still runs that one."""

    kind: Literal["killed", "timed out"]
    at: int
    after: bool

    def __str__(self) -> str:
        return f"{self.kind} {'after' if self.after else 'before'} statement {self.at}"


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

    def query(self, *arguments: Any, **options: Any) -> QueryJob:
        """Run a statement as the client does, or let the fault happen."""
        if self._dead:
            raise Killed
        self.statements += 1
        fault = self._fault
        if fault is None or self.statements != fault.at:
            return self._client.query(*arguments, **options)
        if fault.after:
            self._client.query(*arguments, **options).result()
        if fault.kind == "killed":
            self._dead = True
            raise Killed
        raise TimedOut
