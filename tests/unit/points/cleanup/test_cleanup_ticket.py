"""Routing, collisions with living points, and the digest an approval is bound to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.points.cleanup.config import CONFIG_FILE, get_config, read_config
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.ticket import LivingPoints, TicketError, plan_tickets
from drawsguard.points.downline.structure_repository import Structure

INSTANCES = {
    "redis_evt_A": frozenset({"evt-001-redis", "evt-004-redis"}),
    "redis_evt_AA": frozenset({"evt-002-redis", "evt-004-redis"}),
    "redis_evt_old": frozenset({"evt-003-redis", "evt-004-redis"}),
    "redis_mq": frozenset({"mengqiu-001-redis"}),
    "redis_flag": frozenset({"utd-001-redis"}),
    "ssdb_evt_C": frozenset({"marker-001-ssdb"}),
}
NOBODY = LivingPoints((), {})


def structure(cluster="redis_evt_A", key="evt:{uid}:1024", field=None, redis_type=None):
    return Structure(0, cluster, redis_type or ("hash" if field else "string"), key, field)


def numbered(points):
    return [data._replace(point_id=eid) for eid, data in points]


def living(*points, unknown=None):
    classes = get_config().variable_classes
    return LivingPoints(tuple(read_structure(point, classes) for point in numbered(points)), unknown or {})


def plan(points, alive=NOBODY):
    return plan_tickets("b1", numbered(points), alive, INSTANCES, get_config())


@pytest.mark.parametrize(
    ("data", "route", "executor"),
    [
        (structure("redis_mq", "mq:{uid}:1", "{date}"), "dba_whole", "dba"),
        (structure("redis_mq", "mq:flag"), "dba_whole", "dba"),
        (structure(field="{date}"), "dba_key_field", "dba"),
        (structure(field="total"), "own_key", "own"),
        (structure(), "own_key", "own"),
        (structure(key="evt:total:1024"), "own_exact", "own"),
        (structure(key="evt:total", field="{date}"), "own_exact", "own"),
        (structure("redis_flag", "flag:{uid}"), "own_key", "own"),
    ],
)
def test_route_follows_cluster_key_and_field(data, route, executor):
    (ticket,) = plan([(1024, data)]).tickets
    assert (ticket.rule.name, ticket.executor) == (route, executor)
    assert ticket.ticket_id == f"b1/{data.cluster}/{route}"
    assert ticket.instances == tuple(sorted(INSTANCES[data.cluster]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (structure("ssdb_evt_C"), "No routing rule"),
        (structure("redis_new"), "no known Redis instance"),
        (structure(key="{uid}:1"), "fixes 2 bytes"),
        (structure(key=""), "is empty"),
        # grep takes each line for a pattern of its own, and every line of a name for a name.
        (structure(key="evt:1024:\n{uid}"), "control character"),
        (structure(key="evt:{uid}", field="{date}\r"), "control character"),
        (structure("redis_mq", key="mq:\x00{uid}"), "control character"),
        (structure(redis_type="counter"), "not a Redis type"),
        (structure(field="x", redis_type="string"), "not hash"),
    ],
)
def test_point_without_ticket_says_why(data, reason):
    made = plan([(7, data)])
    assert not made.tickets
    assert [point.eid for point in made.unticketed] == [7]
    assert reason in made.unticketed[0].reason


@pytest.mark.parametrize(
    ("dead", "alive", "collides"),
    [
        (structure(key="evt:{uid}:x"), structure(key="evt:{uid}:{date}"), False),  # x is no date
        (structure(), structure(key="evt:{uid}:{date}"), True),
        (structure(), structure("redis_unlisted", key="evt:{uid}:1024"), True),
        (structure(), structure("redis_evt_AA", key="evt:{uid}:{other}"), True),  # evt-004-redis is shared
        (structure(), structure("redis_flag", key="evt:{uid}:{other}"), False),  # no instance is shared
        (structure(key="evt:{uid}", field="1024"), structure(key="evt:{uid}", field="1025"), False),
        (structure(key="evt:{uid}", field="1024"), structure(key="evt:{uid}", field="{other}"), True),
        (structure(key="evt:{uid}", field="1024"), structure(key="evt:{uid}"), True),
        (structure(key="evt:{uid}"), structure(key="evt:{uid}", field="1025"), True),
    ],
)
def test_pattern_that_could_match_a_living_point_is_refused_and_named(dead, alive, collides):
    made = plan([(1024, dead)], living((99, alive)))
    refused = [point for point in made.unticketed if "99" in point.reason]
    assert bool(refused) is collides
    assert bool(made.tickets) is not collides


def test_living_point_of_unknown_structure_blocks_its_instances_only():
    made = plan([(1, structure()), (2, structure("redis_flag", "flag:{uid}"))], living(unknown={"redis_evt_old": [55]}))
    assert [ticket.cluster for ticket in made.tickets] == ["redis_flag"]
    assert "55" in made.unticketed[0].reason


def test_restored_point_is_not_cleaned():
    made = plan([(7, structure())], living((7, structure("redis_flag", "flag:{uid}"))))
    assert not made.tickets
    assert "served (again)" in made.unticketed[0].reason


def test_point_with_two_structures_is_refused():
    with pytest.raises(TicketError, match="7"):
        plan([(7, structure()), (7, structure(key="evt:x:7"))])


def test_digest_changes_with_anything_that_decides_what_is_deleted():
    def digest(points, **changes):
        config = get_config().model_copy(update=changes)
        return plan_tickets("b1", numbered(points), NOBODY, INSTANCES, config).tickets[0].digest

    base = digest([(1, structure()), (2, structure(key="evt:{uid}:2"))])
    assert base == digest([(2, structure(key="evt:{uid}:2")), (1, structure())])
    assert base != digest([(1, structure())])
    assert base != digest([(1, structure()), (2, structure(key="evt:{uid}:3"))])
    assert base != digest([(1, structure()), (2, structure(key="evt:{uid}:2", redis_type="set"))])
    wider = {**get_config().variables, "uid": "[^-]"}
    assert base != digest([(1, structure()), (2, structure(key="evt:{uid}:2"))], variables=wider)


keys = st.sampled_from(["evt:{uid}:7", "evt:all", "{uid}", "", "evt:{", "evt:{uid}:*", "mq:{uid}"])
fields = st.sampled_from([None, "f", "{date}", "{"])
clusters = st.sampled_from([*INSTANCES, "unheard_of"])
structures = st.builds(structure, clusters, keys, fields, st.sampled_from(["string", "hash", "odd"]))


@given(st.dictionaries(st.integers(1, 500), structures), st.lists(st.tuples(st.integers(600, 700), structures)))
def test_every_point_is_on_exactly_one_ticket_or_on_the_list(points, others):
    classes = get_config().variable_classes
    readable = []
    for point in numbered(others):
        try:
            readable.append(read_structure(point, classes))
        except ValueError:
            continue
    made = plan(points.items(), LivingPoints(tuple(readable), {}))
    placed = [s.eid for ticket in made.tickets for s in ticket.structures] + [p.eid for p in made.unticketed]
    assert sorted(placed) == sorted(points)
    assert all(point.reason for point in made.unticketed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("executor: dba", "executor: nobody"),
        ("name: own_exact", "name: own_key"),
        ('"[^:]"', '".*"'),
        ("sweep:", "swept:"),
    ],
)
def test_wrong_configuration_is_refused(tmp_path, old, new):
    path = tmp_path / "cleanup.yaml"
    path.write_text(CONFIG_FILE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match="CleanupConfig"):
        read_config(path)
