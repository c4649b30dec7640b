"""What the real operators are put into: a clock, servers that can fail, people who answer, mails that go nowhere.

MySQL and Redis are real; every statement and command passes the boundary of `faults`. Hive, NOS, the mail server and
the warehouse are replaced where the code leaves the process, and pass it, too.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import time_machine
from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import TaskAwaitingInput
from redis.connection import AbstractConnection

from drawsguard.points import policy
from drawsguard.points.cleanup import config as cleanup_config
from drawsguard.points.cleanup.sweep import Sweep
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.downline.structures import parse_structure
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository
from drawsguard.points.telemetry.hive_source import NO_WINDOW, Chunk
from drawsguard.points.telemetry.push_guard import EMPTY, SOURCE_COLUMNS, Facts, Stamp
from drawsguard.settings import get_settings
from hooks import nos_hook
from local.points_histories.faults import Boundary, FaultyConnection, Service
from local.points_histories.telemetry import Telemetry
from notifiers import points_mail
from operators.points.cleanup import redis_cleanup_operator
from operators.points.downline import points_observe_operator
from operators.points.telemetry import (
    evidence_guard_operator,
    hive_build_operator,
    hive_evidence_operator,
    hive_to_mysql_operator,
)

SWITCHES = ("POINTS_DOWNLINE_STOP", "POINTS_CLEANUP_STOP")
APPROVERS = ("approver", "second_approver")

#: Rows of one transaction, items of one deletion and rows from which on two people approve: small, so that a fault can
#: strike between two of them.
CHUNK_ROWS, BATCH_ITEMS, SECOND_ABOVE_ROWS = 3, 3, 14


class Surroundings:
    """The clock, the boundary, and what stands for the services that are not real.

    :param telemetry: what Hive knows.
    :param describe: NOS's answer about a point, as JSON.
    """

    def __init__(self, telemetry: Telemetry, describe: Any, now: datetime) -> None:
        self.telemetry = telemetry
        self.describe = describe
        self.boundary = Boundary(lambda: self.switch("true"))
        self.connections: list[FaultyConnection] = []
        self.mails: list[str] = []
        self.alerts: set[str] = set()
        self._traveller = time_machine.travel(now, tick=False)
        self._clock: Any = None

    # --- clock ------------------------------------------------------------------------------------------------------
    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def move_to(self, moment: datetime) -> None:
        self._clock.move_to(moment)

    def sleep(self, seconds: float) -> None:
        """Let time pass: nobody waits for it."""
        self._clock.shift(seconds)

    @contextmanager
    def entered(self) -> Iterator[Surroundings]:
        """Put everything in place, for as long as the context lasts."""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="points_histories_"))
            variables = {
                "DRAWSGUARD_APPROVERS": ",".join(APPROVERS),
                "DRAWSGUARD_ARTIFACTS_ADDRESS": folder,
                **{f"AIRFLOW_VAR_{name}": "false" for name in SWITCHES},
            }
            stack.enter_context(patch.dict(os.environ, variables))
            stack.callback(_forget_settings)
            for target, name, value in self._replaced():
                stack.enter_context(patch.object(target, name, value))
            _forget_settings()
            self._clock = stack.enter_context(self._traveller)
            yield self

    @property
    def folder(self) -> Path:
        return Path(get_settings().artifacts_address)

    def switch(self, value: str) -> None:
        for name in SWITCHES:
            os.environ[f"AIRFLOW_VAR_{name}"] = value

    def close_connections(self) -> None:
        """Close what a task left open, as its end does: the server rolls back and gives its locks free."""
        for connection in self.connections:
            connection.drop()
        self.connections.clear()

    # --- what is replaced -------------------------------------------------------------------------------------------
    def _replaced(self) -> Iterator[tuple[Any, str, Any]]:
        yield MySqlHook, "get_conn", _connecting(self, MySqlHook.get_conn)
        yield EvidenceRepository, "LOCK_WAIT_SECONDS", 0
        yield HiveServer2Hook, "get_conn", lambda _hook: self._ask("hive", lambda: SimpleNamespace(close=lambda: None))
        for module in (evidence_guard_operator, hive_to_mysql_operator):
            yield module, "HiveSource", partial(ModelHive, self)
        yield hive_evidence_operator, "fetch", self._quality
        yield hive_build_operator, "run", self._build
        yield HITLOperator, "execute", _wait
        yield points_mail, "send", self._send
        yield points_observe_operator, "signals", SimpleNamespace(fire=self._fire, end=self._end)
        yield points_observe_operator.PointsObserveOperator, "_monitor", lambda _operator: None
        yield nos_hook.NosHook, "_ask", lambda _hook, point: self._structure(point)
        yield nos_hook, "time", SimpleNamespace(sleep=self.sleep, monotonic=time.monotonic)
        yield redis_cleanup_operator, "Sweep", partial(Sweep, sleep=self.sleep)
        yield redis_cleanup_operator, "Throttle", partial(Throttle, sleep=self.sleep)
        yield policy, "load_policy", _policy(policy.load_policy)
        yield cleanup_config, "read_config", _cleanup(cleanup_config.read_config)
        yield AbstractConnection, "send_packed_command", _sending(self, AbstractConnection.send_packed_command)

    def _ask(self, service: Service, do: Any) -> Any:
        return self.boundary.call(service, do)

    def _send(self, mail: Any, addresses: list[str], *_: Any, **__: Any) -> None:
        self._ask("mail", lambda: self.mails.append(f"{', '.join(addresses)}: {mail.subject}"))

    def _fire(self, _monitor: Any, key: str, *_: Any, **__: Any) -> None:
        self._ask("warehouse", lambda: self.alerts.add(key))

    def _end(self, _monitor: Any, key: str, *_: Any, **__: Any) -> None:
        self._ask("warehouse", lambda: self.alerts.discard(key))

    def _structure(self, point: int) -> Structure:
        structure: Structure = self._ask("nos", lambda: parse_structure(point, self.describe(point)))
        return structure

    def _quality(self, _hive: Any, file: str, values: dict[str, str]) -> list[tuple[Any, ...]]:
        days = self._ask(
            "hive", lambda: self.telemetry.quality_of(*(date.fromisoformat(values[k]) for k in ("first", "last")))
        )
        if file.endswith("rejected_by_reason.sql"):
            return [(day.day, reason, number) for day in days for reason, number in day.rejected.items()]
        return [tuple(day[:-1]) for day in days]

    def _build(self, _hive: Any, file: str, values: dict[str, str]) -> None:
        self._ask("hive", lambda: self._built(file, values))

    def _built(self, file: str, values: dict[str, str]) -> None:
        hive = self.telemetry
        if not file.endswith("stamp_build.sql"):
            first, last = (date.fromisoformat(values[name]) for name in ("first", "last"))
            hive.table = hive.summed(first, last, self.now)
            hive.builds.append(hive.table)
        elif values["first"] == NO_WINDOW["first"]:
            hive.stamp = None
        else:
            hive.stamp = Stamp(values["first"], values["last"], hive.table.facts if hive.table else EMPTY)


class ModelHive:
    """`HiveSource` over the telemetry."""

    def __init__(self, surroundings: Surroundings, _connection: Any, _flow: str) -> None:
        self._hive = surroundings.telemetry
        self._ask = partial(surroundings.boundary.call, "hive")

    def refuse_kept_files(self) -> None:
        self._ask(lambda: None)

    def facts(self) -> Facts:
        return self._ask(lambda: self._hive.table.facts if self._hive.table else EMPTY)

    def stamp(self) -> Stamp | None:
        return self._ask(lambda: self._hive.stamp)

    def columns(self) -> list[tuple[str, str]]:
        return self._ask(lambda: list(SOURCE_COLUMNS))

    def chunks(self, chunk_rows: int) -> Iterator[Chunk]:  # noqa: ARG002 - as the source that it stands for
        table = self._hive.table
        if table is None or not table.rows:
            return
        lines = [f"{metric}\t{at:%Y-%m-%d %H:%M:%S}\t{count}" for metric, (at, count) in sorted(table.rows.items())]
        yield Chunk(table.facts, "\n".join(lines).encode() + b"\n")

    def truncate(self) -> None:
        def empty() -> None:
            self._hive.table = None

        self._ask(empty)
        self._ask(lambda: None)  # base_evt, which a build fills again anyway


def _wait(operator: HITLOperator, _context: Any) -> None:
    raise TaskAwaitingInput(method_name="execute_complete", timeout=operator.response_timeout)


def _connecting(surroundings: Surroundings, connect: Any) -> Any:
    services: dict[str, Service] = {
        "mysql_default": "governance", "mysql_points_intranet": "intranet", "mysql_points_extranet": "extranet",
    }  # fmt: skip

    def get_conn(hook: MySqlHook) -> FaultyConnection:
        service = services[hook.get_conn_id()]

        def opened() -> Any:
            connection = connect(hook)
            connection.query(f"SET timestamp = {time.time():.6f}")  # the server's clock is ours
            return connection

        connection = FaultyConnection(surroundings.boundary.call(service, opened), service, surroundings.boundary)
        surroundings.connections.append(connection)
        return connection

    return get_conn


def _sending(surroundings: Surroundings, send: Any) -> Any:
    def send_packed_command(connection: AbstractConnection, *arguments: Any, **options: Any) -> Any:
        return surroundings.boundary.call(
            "redis", lambda: send(connection, *arguments, **options), connection.disconnect
        )

    return send_packed_command


def _policy(load: Any) -> Any:
    def load_policy(*arguments: Any) -> policy.DownlinePolicy:
        rules: policy.DownlinePolicy = load(*arguments)
        return rules.model_copy(
            update={
                "execution": rules.execution.model_copy(update={"chunk_rows": CHUNK_ROWS}),
                "approval": rules.approval.model_copy(update={"second_above_rows": SECOND_ABOVE_ROWS}),
            }
        )

    return load_policy


def _cleanup(read: Any) -> Any:
    def read_config(*arguments: Any) -> cleanup_config.CleanupConfig:
        rules: cleanup_config.CleanupConfig = read(*arguments)
        pace = rules.sweep.model_copy(update={"batch_items": BATCH_ITEMS, "scan_count": 10})
        return rules.model_copy(update={"sweep": pace})

    return read_config


def _forget_settings() -> None:
    get_settings.cache_clear()
    policy.get_policy.cache_clear()
    cleanup_config.get_config.cache_clear()
