"""What the routes of all pages work with: where they read, who asks, what they may do, and what viewers share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from fastapi import Depends

from drawsguard.approvals.waiting import WaitingQuestion
from drawsguard.monitoring.dag_state import DagState
from drawsguard.monitoring.known_bill import BilledPeriod
from drawsguard.pages.artifact_store import Artifacts
from drawsguard.pages.cache import SharedReadings
from drawsguard.pages.catalogue import BY_PATH
from drawsguard.points.environments import Environment


@dataclass(frozen=True)
class Sources:
    """Where pages read.

    :param governance: opens a prepared connection to the governance server.
    :param environment: opens one to the server of an environment.
    :param waiting: returns the questions of some DAGs that Airflow waits for.
    :param warehouse: returns a BigQuery client.
    :param dags: returns the states of some DAGs.
    :param artifacts: returns the store of workbooks, reports and audit files.
    :param bills: returns what the daily inspections since a moment have found to be billed.
    """

    governance: Callable[[], AbstractContextManager[Any]]
    environment: Callable[[Environment], AbstractContextManager[Any]]
    waiting: Callable[[Collection[str]], list[WaitingQuestion]]
    warehouse: Callable[[], Any]
    dags: Callable[[Collection[str]], Mapping[str, DagState]]
    artifacts: Callable[[], Artifacts]
    bills: Callable[[datetime], Sequence[BilledPeriod]]


@dataclass(frozen=True)
class Person:
    """Who is signed in.

    :param may_read: :param may_trigger: whether Airflow lets them do that with a DAG.
    """

    name: str
    may_read: Callable[[str], bool]
    may_trigger: Callable[[str], bool]


@dataclass(frozen=True)
class Rights:
    """Dependencies of the routes.

    :param may_read: :param may_trigger: return the one that lets pass who may do that with a DAG, and refuses everybody
        else (401, 403).
    :param person: tells who is signed in, and refuses everybody else (401).
    """

    may_read: Callable[[str], Callable[..., Any]]
    may_trigger: Callable[[str], Callable[..., Any]]
    person: Callable[..., Person]


class Started(NamedTuple):
    """A run that was started; while its DAG is paused it waits."""

    run_id: str
    paused: bool


@dataclass(frozen=True)
class Deeds:
    """What pages do, always in the name of the person who is signed in.

    :param trigger: starts a run of a DAG with parameters as a person, which Airflow's audit log keeps; raises
        RefusedError when Airflow does not start it.
    :param note: adds an entry to Airflow's audit log: event, DAG, person, detail.
    :param secret: the key of the forms' tokens, the same in all API servers.
    """

    trigger: Callable[[str, Mapping[str, Any], str], Started]
    note: Callable[[str, str, str, Mapping[str, Any]], None]
    secret: Callable[[], bytes]


@dataclass(frozen=True)
class Site:
    """The pages of one process of the API server."""

    sources: Sources
    rights: Rights
    deeds: Deeds
    shared: SharedReadings

    def readers_of(self, page: str) -> list[Any]:
        """Return the dependencies of a page's route: the read right of each DAG that it is about."""
        return [Depends(self.rights.may_read(dag_id)) for dag_id in BY_PATH[page].dags]

    def triggers_of(self, page: str, dag_id: str) -> list[Any]:
        """Return the dependencies of an action's route: the page's own, and the right to trigger the DAG."""
        return [*self.readers_of(page), Depends(self.rights.may_trigger(dag_id))]
