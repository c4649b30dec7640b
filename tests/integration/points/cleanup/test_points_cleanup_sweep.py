"""The sweep on real Redis servers: only what matches goes, everything is counted, whatever happens meanwhile."""

from __future__ import annotations

import re
import threading
import time

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drawsguard.points.cleanup.ledger import Counts
from drawsguard.points.cleanup.sweep import Sweep, SweepFailedError, SweepStoppedError
from drawsguard.points.cleanup.throttle import Throttle
from local.memory_ledger import MemoryLedger
from local.redis_servers import Server, wait_for
from tests.integration.cleanup_sweeps import CONFIG, PATTERNS, Killed, MortalLedger, hostile, matches, sweep, ticket

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def client(server):
    connection = redis.Redis(port=server.port)
    connection.flushall()
    yield connection
    connection.close()


def fresh(server):
    return lambda: redis.Redis(port=server.port)


# --- nothing outside a pattern ------------------------------------------------------------------------
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


def test_a_ticket_with_other_points_is_scanned_from_the_beginning(client, server):
    """{7} ended after its confirming scan; {7, 8} has the same ticket id, and nobody looked for 8 yet."""

    class Dying(MemoryLedger):
        def finish_passes(self, *_):
            raise Killed

    client.mset({"evt:a:7": 1, "evt:a:8": 1})
    ledger = Dying()
    first = ticket((7, "string", "evt:{uid}:7"))
    with pytest.raises(Killed):
        sweep(first, fresh(server), ledger).run()
    assert client.keys() == [b"evt:a:8"]
    ledger.finish_passes = lambda *_: None
    more = ticket((7, "string", "evt:{uid}:7"), (8, "string", "evt:{uid}:8"))
    assert (more.ticket_id, more.digest == first.digest) == (first.ticket_id, False)
    assert sweep(more, fresh(server), ledger).run().left == {}
    assert client.keys() == []
    assert ledger.total() == {7: Counts(found=1, deleted=1), 8: Counts(found=1, deleted=1)}


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


def test_keys_that_keep_appearing_are_reported_as_left(client, server, monkeypatch):
    ledger = MemoryLedger()
    original = Sweep._pass

    def after_a_write(self, phase, number):
        client.mset({f"evt:{phase}{number}:7": 1, f"evt:{phase}{number}:8": 1})
        return original(self, phase, number)

    monkeypatch.setattr(Sweep, "_pass", after_a_write)
    result = sweep(ticket((7, "string", "evt:{uid}:7")), fresh(server), ledger).run()
    assert result.left == {7: 1}
    assert len(client.keys("evt:*:8")) == 2 * CONFIG.sweep.max_passes
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
        throttle = Throttle(1e9, 500, 1000)
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
            throttle=Throttle(1e9, 25, 1000),
            update={"recovery_seconds": 1},
        )
        threading.Timer(0.3, server.kill).start()
        with pytest.raises(SweepFailedError, match="run ticket b1/redis_evt_A/own_key again"):
            running.run()
    finally:
        server.close()
