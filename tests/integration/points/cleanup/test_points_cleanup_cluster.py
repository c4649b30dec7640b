"""The sweep on a Redis Cluster of six: masters that fail over and slots that move while it goes on.

Whatever happens: no key outside the pattern is deleted, none of the pattern is left, and every deletion is counted.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis
from redis.crc import key_slot

from drawsguard.points.cleanup.commands import cleanup_command
from drawsguard.points.cleanup.estimate import estimate_points
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.ledger import Counts
from drawsguard.points.cleanup.sweep import Sweep, SweepFailedError
from drawsguard.points.cleanup.throttle import Throttle
from local.memory_ledger import MemoryLedger
from local.redis_servers import Cluster, Migration, Server, wait_for
from tests.integration.cleanup_sweeps import (
    CONFIG,
    PATTERNS,
    Killed,
    MortalLedger,
    hostile,
    matches,
    structures,
    sweep,
    ticket,
)

pytestmark = pytest.mark.integration

MADE = ticket((7, "string", "evt:{uid}:7"))
#: Keys of the ticket, and of others.
KEYS = 300
MINE = {f"evt:{number}:7".encode() for number in range(KEYS)}
OTHERS = {f"evt:{number}:8".encode() for number in range(KEYS)}


@pytest.fixture(scope="module")
def six() -> Iterator[Cluster]:
    """Three masters with a replica each; tests that use it end no server."""
    running = Cluster(replicas=1)
    yield running
    running.close()


@pytest.fixture
def filled(six: Cluster) -> Cluster:
    """The cluster with nothing but the ticket's keys and those of others."""
    fill(six)
    return six


def fill(cluster: Cluster) -> None:
    with contextlib.closing(cluster.client()) as client:
        client.flushall()
        for key in MINE | OTHERS:
            client.set(key, key)


def masters(cluster: Cluster) -> list[int]:
    """The ports of the masters, in the order in which a sweep visits them."""
    instance = RedisInstance("evt-001-redis", cluster.client)
    return [int(master.name.rpartition(":")[2]) for master in instance.masters()]


def key_on(cluster: Cluster, port: int, keys: set[bytes] = MINE) -> bytes:
    return next(key for key in sorted(keys) if cluster.owner(key_slot(key)) == port)


def around(monkeypatch: pytest.MonkeyPatch, step: Callable[[str, int, bool], None]) -> None:
    """Call ``step(phase, port, before)`` before and after each scan of a master."""
    original = Sweep._sweep_master

    def wrapped(self: Sweep, scan: Any, master: Any, cursor: int) -> None:
        port = int(scan.master.rpartition(":")[2])
        step(scan.phase, port, True)
        original(self, scan, master, cursor)
        step(scan.phase, port, False)

    monkeypatch.setattr(Sweep, "_sweep_master", wrapped)


def all_is_clean(cluster: Cluster, ledger: MemoryLedger, result: Any, deleted: int = KEYS) -> None:
    assert result.left == {}
    assert cluster.keys() == OTHERS
    assert ledger.total()[7] == Counts(found=deleted, deleted=deleted)


# --- nothing outside a pattern ------------------------------------------------------------------------
@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(hostile, max_size=60), st.sets(st.sampled_from(PATTERNS), min_size=1))
def test_cluster_loses_exactly_the_matching_keys(six, keys, patterns):
    with contextlib.closing(six.client()) as client:
        client.flushall()
        for key in keys:
            client.set(key, b"v")
        made = ticket(*((index, "string", pattern) for index, pattern in enumerate(sorted(patterns))))
        ledger = MemoryLedger()
        sweep(made, six.client, ledger).run()
        expected = {key for key in keys if any(matches(structure, key) for structure in made.structures)}
        assert set(client.keys(target_nodes="primaries")) == keys - expected
        assert sum(counts.deleted for counts in ledger.total().values()) == len(expected)


# --- slots that move ------------------------------------------------------------------------------------
def test_key_that_moves_behind_the_scan_and_stays_on_its_way_is_found(filled, monkeypatch):
    """The key goes from the last master to the first after that was scanned; the move is finished much later."""
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    moves: list[Migration] = []

    def step(phase: str, port: int, before: bool) -> None:
        if not moves and (phase, port, before) == ("delete", last, True):
            moves.append(Migration(filled, key_slot(key), first).open().send())
            threading.Timer(1.5, moves[0].close).start()

    around(monkeypatch, step)
    ledger = MemoryLedger()
    result = sweep(MADE, filled.client, ledger).run()
    assert moves
    all_is_clean(filled, ledger, result)


def test_slot_that_goes_and_comes_back_within_a_pass_is_noticed(filled, monkeypatch):
    """Before the last master is scanned its slot leaves for the first, and afterwards it returns; in every phase."""
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    away: set[tuple[str, bool]] = set()

    def step(phase: str, port: int, before: bool) -> None:
        if port == last and (phase, before) not in away:
            away.add((phase, before))
            Migration(filled, key_slot(key), first if before else last).open().send().close()

    around(monkeypatch, step)
    ledger = MemoryLedger()
    result = sweep(MADE, filled.client, ledger).run()
    assert away == {("delete", True), ("delete", False), ("confirm", True), ("confirm", False)}
    all_is_clean(filled, ledger, result)


def test_hash_that_moves_between_two_pages_of_its_fields_is_found_again(filled, monkeypatch):
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    with contextlib.closing(filled.client()) as client:
        client.delete(key)
        client.hset(key, mapping={f"d:{number}": 1 for number in range(2000)} | {"x:1": 1})
    moved: list[bytes] = []
    original = Sweep._ask

    def moving(master: Any, commands: Any) -> list[Any]:
        answers = original(master, commands)
        if commands and commands[0][0] == "HSCAN" and not moved:
            moved.append(key)
            Migration(filled, key_slot(key), first).open().send().close()
        return answers

    monkeypatch.setattr(Sweep, "_ask", staticmethod(moving))
    ledger = MemoryLedger()
    result = sweep(ticket((9, "hash", "evt:{uid}:7", "d:{day}")), filled.client, ledger).run()
    assert moved
    assert result.left == {}
    assert ledger.total()[9].deleted == 2000
    with contextlib.closing(filled.client()) as client:
        assert client.hgetall(key) == {b"x:1": b"1"}


def test_slots_that_move_all_the_time_lose_nothing(filled, monkeypatch):
    """Somebody reshards while the sweep runs: slots with and without keys of the ticket go round the masters.

    Until six have moved, the sweep asks again only when another one has: on a busy machine, too, they move beside it.
    """
    ports, stop, moved = masters(filled), threading.Event(), []
    slots = sorted({key_slot(key) for key in MINE | OTHERS})
    chance = random.Random(11)

    def reshard() -> None:
        while not stop.is_set() and len(moved) < 60:
            slot = chance.choice(slots)
            target = chance.choice([port for port in ports if port != filled.owner(slot)])
            migration = Migration(filled, slot, target).open()
            migration.send(*_some(filled, slot, chance)).send().close()
            moved.append(slot)

    original = Sweep._ask

    def beside(master: Any, commands: Any) -> list[Any]:
        before = len(moved)
        while len(moved) == before < 6 and thread.is_alive():
            time.sleep(0.001)
        return original(master, commands)

    monkeypatch.setattr(Sweep, "_ask", staticmethod(beside))
    thread = threading.Thread(target=reshard)
    ledger = MemoryLedger()
    running = sweep(MADE, filled.client, ledger, throttle=Throttle(1e9, 100, 1000), update={"max_passes": 5})
    thread.start()
    try:
        result = running.run()
    finally:
        stop.set()
        thread.join()
    assert len(moved) > 5
    all_is_clean(filled, ledger, result)


def _some(cluster: Cluster, slot: int, chance: random.Random) -> list[bytes]:
    with contextlib.closing(cluster.node(cluster.owner(slot))) as node:
        keys = node.execute_command("CLUSTER GETKEYSINSLOT", slot, 1000, NEVER_DECODE=True)
    return chance.sample(keys, len(keys) // 2)


def test_migration_that_is_never_finished_is_never_called_clean(filled):
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    migration = Migration(filled, key_slot(key), first).open().send(key)
    ledger = MemoryLedger()
    with pytest.raises(SweepFailedError, match=r"1 slots are being moved, e.g. \d+.*run ticket .* again"):
        sweep(MADE, filled.client, ledger, update={"recovery_seconds": 1}).run()
    assert filled.keys() - OTHERS == {key}
    migration.send().close()
    all_is_clean(filled, ledger, sweep(MADE, filled.client, ledger).run())


def test_estimate_goes_on_while_a_slot_moves(filled):
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    migration = Migration(filled, key_slot(key), first).open().send(key)
    try:
        made = estimate_points(
            structures((7, "string", "evt:{uid}:7")),
            [RedisInstance("evt-001-redis", filled.client)],
            CONFIG.estimate,
        )
    finally:
        migration.send().close()
    assert made[7].keys == KEYS
    assert made[7].sampled > 0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("first_death", [1, 6])
def test_killed_while_slots_move_goes_on_and_counts_each_deletion_once(filled, first_death, after):
    """Between two lives of the sweep the slots of its unfinished batch go to another master."""
    ports = masters(filled)
    ledger, deaths = MortalLedger(), 0
    ledger.countdown, ledger.after = first_death, after
    while True:
        try:
            result = sweep(MADE, filled.client, ledger).run()
            break
        except Killed:
            deaths += 1
            ledger.countdown = 40
            for slot in sorted({key_slot(item.key) for items in ledger.pending.values() for item in items})[:2]:
                target = next(port for port in ports if port != filled.owner(slot))
                Migration(filled, slot, target).open().send().close()
    assert deaths >= 1
    all_is_clean(filled, ledger, result)


# --- masters that fail over -----------------------------------------------------------------------------
@pytest.fixture
def mortal_six() -> Iterator[Cluster]:
    """A cluster of a test's own, whose servers may end."""
    running = Cluster(replicas=1, node_timeout_ms=1000)
    fill(running)
    yield running
    running.close()


def test_failover_loses_no_key_outside_and_leaves_none_inside(mortal_six):
    ledger = MemoryLedger()
    running = sweep(MADE, mortal_six.client, ledger, throttle=Throttle(1e9, 200, 1000))

    def kill_a_master() -> None:
        wait_for(lambda: running.progress.deleted > KEYS // 5, "the sweep to be under way")
        mortal_six.servers[0].kill()

    thread = threading.Thread(target=kill_a_master)
    thread.start()
    result = running.run()
    thread.join()
    assert result.left == {}
    assert mortal_six.keys() == OTHERS
    # A deletion the dead master had not replicated is made again and counted again.
    assert ledger.total()[7].deleted >= KEYS


def test_failover_and_a_moving_slot_at_once(mortal_six, monkeypatch):
    """The master that gives a slot away dies in between; its replica takes over, and the move is finished later."""
    first, middle, last = masters(mortal_six)
    slot = key_slot(key_on(mortal_six, last))
    migrations: list[Migration] = []

    def step(phase: str, port: int, before: bool) -> None:
        if not migrations and (phase, port, before) == ("delete", middle, True):
            migrations.append(Migration(mortal_six, slot, first).open().send())
            next(server for server in mortal_six.servers if server.port == last).kill()
            finishing.start()

    def finish() -> None:
        wait_for(lambda: len(mortal_six.masters()) == 3, "the replica to take over")
        migrations[0].close()

    finishing = threading.Thread(target=finish)
    around(monkeypatch, step)
    ledger = MemoryLedger()
    result = sweep(MADE, mortal_six.client, ledger).run()
    finishing.join()
    assert result.left == {}
    assert mortal_six.keys() == OTHERS
    assert ledger.total()[7].deleted >= KEYS


def test_cluster_with_uncovered_slots_is_never_called_clean():
    cluster = Cluster(node_timeout_ms=1000)
    try:
        fill(cluster)
        cluster.servers[1].kill()
        with pytest.raises(SweepFailedError, match="not usable"):
            sweep(MADE, cluster.client, update={"recovery_seconds": 2}).run()
    finally:
        cluster.close()


# --- the DBA's commands ---------------------------------------------------------------------------------
#: Structures, and which of the names below each removes.
COMMANDS = [
    (("string", "it's:{user}:$x"), {"it's:1:$x": None, "it's:2:$x": None, "it's:3:$x": None}),
    (("string", "exact 'key'"), {"exact 'key'": None}),
    (("hash", "it's:{user}:$h", "f"), {"it's:1:$h": {"f"}, "it's:2:$h": {"f"}}),
    (("hash", "all", "d:{day}"), {"all": {"d:1", "d:2"}}),
    (("hash", "it's:{user}:$h", "d:{day}"), {"it's:1:$h": {"d:1", "d:2"}, "it's:2:$h": {"d:1", "d:2"}}),
    (("string", "absent:{user}"), {}),
    (("string", "absent"), {}),
    (("hash", "absent", "d:{day}"), {}),
]
STRINGS = ("it's:1:$x", "it's:2:$x", "it's:3:$x", "it's:u:$x", "it's:1:2:$x", "its:1:$x", "exact 'key'", "exact key")
HASHES = ("it's:1:$h", "it's:2:$h", "it's:u:$h", "all")
FIELDS = ("f", "d:1", "d:2", "d:x", "d:1:2")


@pytest.fixture(params=["single", "cluster"])
def dba(request: pytest.FixtureRequest, six: Cluster, tmp_path: Any) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """A client of a server or cluster, and how the DBA runs a point's command on it."""
    single = Server() if request.param == "single" else None
    port = single.port if single else six.servers[0].port
    client = Redis(port=port) if single else six.client()
    client.flushall()
    # The DBA knows the instance by its name, on the usual port.
    wrapper = tmp_path / "redis-cli"
    wrapper.write_text(
        "#!/bin/bash\nwords=()\nfor word; do case $word in evt-001-redis) word=127.0.0.1 ;; 6379) word="
        f'{port} ;; esac; words+=("$word"); done\nexec {shutil.which("redis-cli")} "${{words[@]}}"\n'
    )
    wrapper.chmod(0o755)

    def run(*specification: Any) -> subprocess.CompletedProcess[str]:
        (structure,) = structures((7, *specification))
        return subprocess.run(
            ["bash", "-c", cleanup_command(structure, ("evt-001-redis",))],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        )

    yield client, run
    client.close()
    if single:
        single.close()


def content(client: Any) -> dict[str, set[str] | None]:
    found: dict[str, set[str] | None] = {}
    for key in client.scan_iter(count=1000):
        found[key.decode()] = {f.decode() for f in client.hkeys(key)} if client.type(key) == b"hash" else None
    return found


@pytest.mark.parametrize(("specification", "gone"), COMMANDS, ids=[" ".join(names) for names, _ in COMMANDS])
def test_command_removes_exactly_its_names_on_one_server_and_on_a_cluster(dba, specification, gone):
    client, run = dba
    for key in STRINGS:
        client.set(key, 1)
    for key in HASHES:
        client.hset(key, mapping=dict.fromkeys(FIELDS, 1))
    before = content(client)
    ended = run(*specification)
    assert ended.returncode == 0, ended.stderr
    expected = dict(before)
    for key, fields in gone.items():
        if fields is None:
            del expected[key]
        else:
            expected[key] = before[key] - fields
    assert content(client) == expected


def test_command_removes_many_keys_of_all_slots(dba):
    client, run = dba
    for number in range(1200):
        client.set(f"evt:{number}:7", 1)
        client.set(f"evt:{number}:8", 1)
    ended = run("string", "evt:{user}:7")
    assert ended.returncode == 0, ended.stderr
    assert set(content(client)) == {f"evt:{number}:8" for number in range(1200)}


@pytest.mark.parametrize(
    "specification",
    [("hash", "all", "d:{day}"), ("hash", "a{user}ll", "d:{day}"), ("hash", "all", "f"), ("hash", "a{user}ll", "f")],
    ids=str,
)
def test_command_that_redis_refuses_does_not_end_well(dba, specification):
    client, run = dba
    client.set("all", 1)  # no hash
    client.set("a1ll", 1)
    assert run(*specification).returncode != 0
    assert set(content(client)) == {"all", "a1ll"}


def test_command_that_meets_a_moving_slot_does_not_end_well_and_can_be_run_again(filled, tmp_path):
    first, *_, last = masters(filled)
    key = key_on(filled, last)
    (structure,) = MADE.structures
    command = cleanup_command(structure, ("127.0.0.1",)).replace("-p 6379", f"-p {filled.servers[0].port}")
    migration = Migration(filled, key_slot(key), first).open().send(key)
    assert subprocess.run(["bash", "-c", command], check=False, capture_output=True).returncode != 0
    left = filled.keys()
    assert left >= OTHERS | {key}
    migration.send().close()
    assert subprocess.run(["bash", "-c", command], check=False, capture_output=True).returncode == 0
    assert filled.keys() == OTHERS
