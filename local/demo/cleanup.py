"""The downlined golden batch through its cleanup: tickets, approvals, sweeps; every key accounted for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import redis

from drawsguard.approvals.model import APPROVE, DIGEST_FIELD
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.telemetry.config import cluster_instances
from drawsguard.settings import get_settings
from local.airflow_api import AirflowApi, wait_for
from local.config import Config
from local.demo.context import DemoContext
from local.demo.downline import FIRST, REQUESTER, connect, refused

DAG_ID = "points_cleanup"
#: The whole run, sixteen short tasks one after the other, on a machine that is busy with more (seconds).
RUN_SECONDS = 1800
#: A person reads before answering; Airflow may fail a task that is answered while it is still being deferred (seconds).
READING_SECONDS = 6
#: Users that have data of each point, and days of each point's hashes.
USERS, DAYS = (7, 42, 1001), ("2024-07-01", "2024-07-02")


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Clean the newest downlined batch as if its month of observation were over, and return the figures."""
    config = context.config
    with closing(connect(config, "governance")) as governance:
        batch_id = end_observation(governance)
        structures = Repositories(governance).structures.of_batch(batch_id)
    wanted = _fill(config, structures)
    before = {name: set(client.scan_iter(count=5000)) for name, client in _instances(config)}
    context.say(f"cleanup of batch {batch_id}: {sum(map(len, before.values()))} keys in Redis")
    api.pause(DAG_ID, paused=False)
    requester = AirflowApi.of(config, REQUESTER)
    run_id = requester.trigger(DAG_ID, {"batch_id": batch_id})
    refusals = _approve_all(config, run_id)
    requester.wait_run(DAG_ID, run_id)
    after = {name: set(client.scan_iter(count=5000)) for name, client in _instances(config)}
    with closing(connect(config, "governance")) as governance:
        store = TicketRepository(governance)
        tickets, results = store.tickets(batch_id), store.results(batch_id)
    own = {ticket.ticket_id for ticket in tickets if ticket.executor == "own"}
    served = {point.point_id for point in results if point.ticket_id not in own}
    expected = {name: {key for key, eid in keys.items() if eid not in served} for name, keys in wanted.items()}
    figures = {
        "tickets": len(tickets),
        "dba": len(tickets) - len(own),
        "own": len(own),
        "without_ticket": sum(point.ticket_id is None for point in results),
        "keys_deleted": sum(point.deleted for point in results),
        "keys_expected": sum(map(len, expected.values())),
        "keys_left": sum(len(expected[name] & after[name]) for name in after),
        "outside_pattern": sum(len(before[name] - expected[name] - after[name]) for name in after),
        "refused_attempts": refusals,
    }
    context.say(f"{figures['keys_deleted']} keys deleted, {figures['keys_left']} left")
    return figures


def check(figures: dict[str, Any]) -> list[str]:
    """Return every promise of this part that was not kept."""
    problems = []
    if figures["keys_deleted"] != figures["keys_expected"] or not figures["keys_deleted"]:
        problems.append(f"{figures['keys_deleted']} keys were counted as deleted, expected {figures['keys_expected']}")
    if figures["keys_left"]:
        problems.append(f"{figures['keys_left']} keys of approved tickets are left")
    if figures["outside_pattern"]:
        problems.append(f"{figures['outside_pattern']} keys outside the approved patterns are gone")
    if not (figures["own"] and figures["dba"]):
        problems.append(f"{figures['own']} tickets of the pipeline, {figures['dba']} of the DBA: both were expected")
    if figures["refused_attempts"] < figures["own"]:  # a task that had to ask twice was refused twice
        problems.append(f"{figures['refused_attempts']} of {figures['own']} approvals by the requester were refused")
    return problems


def end_observation(governance: Any) -> str:
    """Let the month of observation of the newest downlined batch be over; return the batch's id.

    It ended with the last day of its usage evidence.
    """
    zone = ZoneInfo(get_settings().business_timezone)
    with closing(governance.cursor()) as cursor:
        cursor.execute(
            "SELECT batch_id, window_end FROM points_lifecycle.batch WHERE state = 'downlined' "
            "ORDER BY observe_from DESC LIMIT 1"
        )
        ((batch_id, last_day),) = cursor.fetchall()
        midnight = datetime.combine(last_day + timedelta(days=1), datetime.min.time(), zone)
        cursor.execute(
            "UPDATE points_lifecycle.batch SET observe_until = %s WHERE batch_id = %s",
            (midnight.astimezone(UTC).replace(tzinfo=None), batch_id),
        )
    governance.commit()
    return str(batch_id)


def _fill(config: Config, structures: Iterable[Structure]) -> dict[str, dict[bytes, int]]:
    """Write data of every point and names that only look similar; return the points' whole keys by instance."""
    by_cluster = cluster_instances()
    clients = dict(_instances(config))
    keys: dict[str, dict[bytes, int]] = {name: {} for name in clients}
    for client in clients.values():
        client.flushdb()
        client.mset(dict.fromkeys(("evt:user", "evt:", "evt:*", "evt:7:", "EVT:7:1", "other:7:1"), "outside"))
    for structure in structures:
        for name in by_cluster[structure.cluster]:
            pipeline = clients[name].pipeline(transaction=False)
            for key in _names(structure.key_template):
                if structure.data_type == "hash":
                    fields = _names(structure.field_template or "{day}")
                    pipeline.hset(key, mapping=dict.fromkeys(fields, 1))
                else:
                    pipeline.set(key, 1)
                if structure.field_template is None:
                    keys[name][key.encode()] = structure.point_id
            for near_miss in (f"{structure.key_template}x", f"x{structure.key_template}"):
                pipeline.set(near_miss.format(user="7", day="2024-07-01"), "outside")
            if "{user}" in structure.key_template and structure.field_template is None:
                pipeline.set(structure.key_template.format(user="*", day=""), "outside")
            pipeline.execute()
    return keys


def _names(template: str) -> list[str]:
    return sorted({template.format(user=user, day=day) for user in USERS for day in DAYS})


def _instances(config: Config) -> Iterator[tuple[str, redis.Redis]]:
    """Yield each Redis instance that keeps points with a client of its database."""
    connections = config.connections()
    for name in sorted({name for instances in cluster_instances().values() for name in instances}):
        address = connections[f"AIRFLOW_CONN_{name.replace('-', '_').upper()}"]
        yield name, redis.Redis.from_url(address)


def _approve_all(config: Config, run_id: str) -> int:
    """Approve each ticket of the pipeline as another person, after the requester tried; return the refusals."""
    admin, requester, approver = (AirflowApi.of(config, user) for user in ("admin", REQUESTER, FIRST))
    refusals = 0
    first_seen: dict[str, float] = {}

    def approve_what_asks() -> bool:
        nonlocal refusals
        for detail in admin.awaiting_approval(DAG_ID, run_id):
            asked = first_seen.setdefault(detail["task_instance"]["id"], time.monotonic())
            if time.monotonic() - asked < READING_SECONDS:
                continue
            place = f"{DAG_ID}/dagRuns/{run_id}/taskInstances/clean/{detail['task_instance']['map_index']}"
            form = {DIGEST_FIELD: detail["params"][DIGEST_FIELD]["value"]}
            answer = {"chosen_options": [APPROVE], "params_input": form}
            call = partial(requester.call, "PATCH", f"/dags/{place}/hitlDetails", json=answer)
            refusals += refused(call, 403)
            approver.call("PATCH", f"/dags/{place}/hitlDetails", json=answer)
        return admin.run(DAG_ID, run_id)["state"] in ("success", "failed")

    wait_for("every ticket of the pipeline to be executed", approve_what_asks, timeout=RUN_SECONDS)
    return refusals


if __name__ == "__main__":
    here = DemoContext(Config.from_environment(), started=datetime.now(UTC))
    result = run(here.api("admin"), here)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    print(check(result) or "as promised")
