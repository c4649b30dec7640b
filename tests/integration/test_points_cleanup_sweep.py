"""The sweep on real Redis servers: only what matches goes, everything is counted, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import re
import threading
import time

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.ledger import Counts
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.sweep import Sweep, SweepFailedError, SweepStoppedError
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.lifecycle import Structure
from local.memory_ledger import MemoryLedger
from local.redis_servers import Cluster, Server, wait_for

pytestmark = pytest.mark.integration

CONFIG = get_config()
CLASSES = CONFIG.variable_classes


@pytest.fixture(scope="module")
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def cluster():
    running = Cluster()
    yield running
    running.close()


@pytest.fixture
def client(server):
    connection = redis.Redis(port=server.port)
    connection.flushall()
    yield connection
    connection.close()


def structures(*specifications):
    """Structures from (eid, type, key[, field])."""
    return tuple(
        read_structure(Structure(eid, "redis_evt_A", redis_type, key, field[0] if field else None), CLASSES)
        for eid, redis_type, key, *field in specifications
    )


def ticket(*specifications):
    return Ticket("b1", "redis_evt_A", CONFIG.routes[2], ("evt-001-redis",), structures(*specifications))


def sweep(made, connect, ledger=None, *, small=True, **options):
    settings = CONFIG.sweep.model_copy(
        update={"scan_count": 10, "batch_items": 7, "recovery_seconds": 20} if small else {}
    )
    settings = settings.model_copy(update=options.pop("update", {}))
    return Sweep(
        made, [RedisInstance("evt-001-redis", connect)], ledger or MemoryLedger(), settings, CONFIG.samples, **options
    )


def fresh(server):
    return lambda: redis.Redis(port=server.port)


# --- nothing outside a pattern ------------------------------------------------------------------------
PATTERNS = ["evt:{uid}:7", "evt:{date}:x*y", "[ab]{uid}", "q?{uid}", "{{tag}}:{uid}", "exact*", "back\\{uid}", "é{uid}"]
hostile = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b"", b"evt::7", b"evt:a:7", b"evt:a:b:7", b"evt:a:77", b"evt:1:x*y", b"evt:1:xzy", b"a1", b"b1"]),
    st.sampled_from([b"[ab]1", b"[ab]", b"qz1", b"q?1", b"{tag}:1", b"tag:1", b"exact*", b"exact", b"exactly", b"*"]),
    st.sampled_from([b"back\\1", b"back1", b"evt:\n:7", b"evt:\x00\xff:7", "é1".encode(), b"\xe91", b"evt:1:7\n"]),
    st.builds(lambda a, b: b"evt:" + a + b":7" + b, st.binary(max_size=3), st.binary(max_size=1)),
)


def matches(structure, key):
    expression = b"".join(
        re.escape(part) if isinstance(part, bytes) else part.character_class.encode() + b"+"
        for part in structure.key.parts
    )
    return re.compile(expression, re.DOTALL).fullmatch(key) is not None


@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(hostile, max_size=40), st.sets(st.sampled_from(PATTERNS), min_size=1))
def test_single_server_loses_exactly_the_matching_keys(client, server, keys, patterns):
    client.flushall()
    for key in keys:
        client.set(key, b"v")
    made = ticket(*((index, "string", pattern) for index, pattern in enumerate(sorted(patterns))))
    ledger = MemoryLedger()
    result = sweep(made, fresh(server), ledger).run()
    expected = {key for key in keys if any(matches(structure, key) for structure in made.structures)}
    assert set(client.keys()) == keys - expected
    assert sum(counts.deleted for counts in ledger.total().values()) == len(expected)
    assert result.left == {}


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(hostile, max_size=60), st.sets(st.sampled_from(PATTERNS), min_size=1))
def test_cluster_loses_exactly_the_matching_keys(cluster, keys, patterns):
    with contextlib.closing(cluster.client()) as client:
        client.flushall()
        for key in keys:
            client.set(key, b"v")
        made = ticket(*((index, "string", pattern) for index, pattern in enumerate(sorted(patterns))))
        ledger = MemoryLedger()
        sweep(made, cluster.client, ledger).run()
        expected = {key for key in keys if any(matches(structure, key) for structure in made.structures)}
        assert set(client.keys(target_nodes="primaries")) == keys - expected
        assert sum(counts.deleted for counts in ledger.total().values()) == len(expected)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from([b"h:1", b"h:2", b"h::", b"h", b"all"]), st.sets(hostile, min_size=1)))
def test_only_matching_fields_of_matching_hashes_go(client, server, hashes):
    client.flushall()
    for key, fields in hashes.items():
        client.hset(key, mapping=dict.fromkeys(fields, b"v"))
    made = ticket(
        (1, "hash", "h:{uid}", "exact*"), (2, "hash", "h:{uid}", "q?{date}"), (3, "hash", "all", "evt:{uid}:7")
    )
    sweep(made, fresh(server)).run()
    for key, fields in hashes.items():
        gone = set()
        if key in (b"h:1", b"h:2"):
            gone = {field for field in fields if field == b"exact*" or re.fullmatch(rb"q\?[0-9-]+", field)}
        elif key == b"all":
            gone = {field for field in fields if re.fullmatch(rb"evt:[^:]+:7", field, re.DOTALL)}
        assert set(client.hkeys(key)) == fields - gone


# --- types, samples, many patterns ----------------------------------------------------------------------
def test_key_of_another_type_is_left_and_counted(client, server):
    client.set("evt:a:7", 1)
    client.rpush("evt:b:7", 1)
    ledger = MemoryLedger()
    result = sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger).run()
    assert client.keys() == [b"evt:b:7"]
    assert ledger.total() == {7: Counts(found=1, deleted=1, wrong_type=1)}
    assert (result.left, result.wrong_type) == ({}, {7: 1})


def test_samples_can_be_restored(client, server):
    client.set("evt:a:7", b"\x00value", px=100_000)
    client.hset("evt:h", mapping={"f": b"1", "g": b"2"})
    client.set("big:1", b"x" * (CONFIG.samples.max_value_bytes + 1))
    ledger = MemoryLedger()
    made = ticket((7, "string", "evt:{uid}:7"), (8, "hash", "evt:h", "f"), (9, "string", "big:{uid}"))
    sweep(made, fresh(server), ledger).run()
    by_eid = {sample.item.eid: sample for sample in ledger.samples}
    client.restore("evt:a:7", by_eid[7].ttl_ms, by_eid[7].value)
    assert client.get("evt:a:7") == b"\x00value"
    assert (by_eid[8].value, by_eid[8].item.field, by_eid[8].ttl_ms) == (b"1", b"f", None)
    assert by_eid[9].value is None
    assert by_eid[9].size > CONFIG.samples.max_value_bytes
    assert client.hgetall("evt:h") == {b"g": b"2"}


def test_samples_per_point_are_bounded(client, server):
    client.mset({f"evt:{n}:7": 1 for n in range(100)})
    ledger = MemoryLedger()
    sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger).run()
    assert len(ledger.samples) == CONFIG.samples.per_point


def test_ten_thousand_patterns_are_one_pass(client, server):
    client.mset({f"evt:{n % 3}:{n}": 1 for n in range(20_000)})
    ledger = MemoryLedger()
    made = ticket(*((n, "string", f"evt:{{uid}}:{n}") for n in range(10_000)))
    sweep(made, fresh(server), ledger, small=False).run()
    assert client.dbsize() == 10_000
    assert ledger.total() == {n: Counts(found=1, deleted=1) for n in range(10_000)}


# --- what happens meanwhile -------------------------------------------------------------------------------
class Killed(BaseException):
    """Stands for SIGKILL: nothing between here and the caller may act on it."""


class MortalLedger(MemoryLedger):
    """Dies before or after its n-th durable write."""

    def __init__(self):
        super().__init__()
        self.countdown = None
        self.after = False

    def _dies(self, write):
        if self.countdown is None:
            return write()
        self.countdown -= 1
        if self.countdown == 0 and not self.after:
            raise Killed
        write()
        if self.countdown == 0:
            raise Killed
        return None

    def intend(self, *arguments):
        return self._dies(lambda: MemoryLedger.intend(self, *arguments))

    def record(self, *arguments):
        return self._dies(lambda: MemoryLedger.record(self, *arguments))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("first_death", range(1, 14))
def test_killed_at_any_write_goes_on_and_counts_each_deletion_once(client, server, first_death, after):
    wanted = {f"evt:{n}:7" for n in range(40)}
    client.mset(dict.fromkeys(wanted | {f"evt:{n}:8" for n in range(40)}, 1))
    ledger, made, deaths = MortalLedger(), ticket((7, "string", "evt:{uid}:7")), 0
    ledger.countdown, ledger.after = first_death, after
    while True:
        try:
            result = sweep(made, fresh(server), ledger).run()
            break
        except Killed:
            deaths += 1
            ledger.countdown = 3
    assert deaths >= 1
    assert client.dbsize() == 40
    assert ledger.total() == {7: Counts(found=40, deleted=40)}
    assert result.left == {}


def test_answer_lost_after_unlink_is_counted_once(client, server, monkeypatch):
    client.mset({f"evt:{n}:7": 1 for n in range(20)})
    original, failures = Sweep._ask, []

    def lossy(master, commands):
        answers = original(master, commands)
        if commands and commands[0][0] == "UNLINK" and len(failures) < 2:
            failures.append(commands)
            raise redis.ConnectionError("the answer was lost")
        return answers

    monkeypatch.setattr(Sweep, "_ask", staticmethod(lossy))
    ledger = MemoryLedger()
    sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger).run()
    assert failures
    assert ledger.total() == {7: Counts(found=20, deleted=20)}


def test_stop_switch_stops_and_releasing_it_goes_on(client, server):
    client.mset({f"evt:{n}:7": 1 for n in range(100)})
    ledger, made = MemoryLedger(), ticket((7, "string", "evt:{uid}:7"))
    now = iter(range(0, 10_000_000, 3))  # each look at the clock is three seconds later: the switch is read each time
    switch = iter([False] * 12 + [True])
    with pytest.raises(SweepStoppedError, match="b1/redis_evt_A/own_key"):
        sweep(made, fresh(server), ledger, should_stop=lambda: next(switch), clock=lambda: next(now)).run()
    assert 0 < client.dbsize() < 100
    sweep(made, fresh(server), ledger).run()
    assert client.dbsize() == 0
    assert ledger.total() == {7: Counts(found=100, deleted=100)}


def test_keys_that_keep_appearing_are_reported_as_left(client, server):
    ledger, stop = MemoryLedger(), threading.Event()

    def write():
        with contextlib.closing(redis.Redis(port=server.port)) as writer:
            number = 0
            while not stop.is_set():
                writer.mset({f"evt:{number % 50}:7": 1, f"evt:{number % 50}:8": 1})
                number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        time.sleep(0.1)
        result = sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger).run()
    finally:
        stop.set()
        thread.join()
    assert result.left[7] > 0
    assert len(client.keys("evt:*:8")) == 50
    assert ledger.passes == CONFIG.sweep.max_passes


def test_keys_that_appeared_while_scanning_go_in_the_next_pass(client, server, monkeypatch):
    client.mset({f"evt:{n}:7": 1 for n in range(50)})
    ledger = MemoryLedger()
    running = sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger)
    original = Sweep._pass

    def then_write_once(self, phase, number):
        outcome = original(self, phase, number)
        if (phase, number) == ("delete", 1):
            client.mset({f"evt:late{n}:7": 1 for n in range(5)})
        return outcome

    monkeypatch.setattr(Sweep, "_pass", then_write_once)
    assert running.run().left == {}
    assert ledger.total() == {7: Counts(found=55, deleted=55)}
    assert client.dbsize() == 0


def test_restarted_server_is_waited_for_and_scanned_afresh():
    server = Server("--appendonly", "yes", "--appendfsync", "always")
    try:
        client = redis.Redis(port=server.port)
        client.mset({f"evt:{n}:7": 1 for n in range(2000)})
        client.mset({f"evt:{n}:8": 1 for n in range(2000)})
        ledger = MemoryLedger()
        throttle = Throttle(1e9, 2000, 1000)
        running = sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger, throttle=throttle)

        def restart():
            wait_for(lambda: running.progress.deleted > 200, "the sweep to be under way")
            server.kill()
            time.sleep(0.5)
            server.start()

        thread = threading.Thread(target=restart)
        thread.start()
        result = running.run()
        thread.join()
        assert result.left == {}
        assert client.dbsize() == 2000
        assert ledger.total() == {7: Counts(found=2000, deleted=2000)}
        assert len({scan.identity for scan in ledger.per_scan}) == 2
    finally:
        server.close()


def test_server_that_stays_away_fails_with_everything_recorded():
    server = Server()
    try:
        client = redis.Redis(port=server.port)
        client.mset({f"evt:{n}:7": 1 for n in range(100)})
        running = sweep(
            ticket((7, "string", "evt:{uid}:7")),
            fresh(server),
            throttle=Throttle(1e9, 100, 1000),
            update={"recovery_seconds": 1},
        )
        threading.Timer(0.3, server.kill).start()
        with pytest.raises(SweepFailedError, match="run ticket b1/redis_evt_A/own_key again"):
            running.run()
    finally:
        server.close()


def test_failover_in_a_cluster_loses_no_key_outside_and_leaves_none_inside():
    cluster = Cluster(replicas=1)
    try:
        client = cluster.client()
        for number in range(1500):
            client.set(f"evt:{number}:7", 1)
            client.set(f"evt:{number}:8", 1)
        ledger = MemoryLedger()
        running = sweep(ticket((7, "string", "evt:{uid}:7")), cluster.client, ledger, throttle=Throttle(1e9, 500, 1000))

        def kill_a_master():
            wait_for(lambda: running.progress.deleted > 100, "the sweep to be under way")
            cluster.servers[0].kill()

        thread = threading.Thread(target=kill_a_master)
        thread.start()
        result = running.run()
        thread.join()
        assert result.left == {}
        left = {key for server in cluster.servers[1:] for key in redis.Redis(port=server.port).scan_iter()}
        assert left == {f"evt:{number}:8".encode() for number in range(1500)}
        # A deletion the dead master had not replicated is made again and counted again.
        assert ledger.total()[7].deleted >= 1500
    finally:
        cluster.close()


def test_cluster_with_uncovered_slots_is_never_called_clean():
    cluster = Cluster()
    try:
        client = cluster.client()
        for number in range(100):
            client.set(f"evt:{number}:7", 1)
        cluster.servers[1].kill()
        running = sweep(ticket((7, "string", "evt:{uid}:7")), cluster.client, update={"recovery_seconds": 2})
        with pytest.raises(SweepFailedError, match="not usable"):
            running.run()
    finally:
        cluster.close()
