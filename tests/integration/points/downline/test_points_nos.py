"""The NOS hook against a server that answers structures, errors, garbage, nothing, and half answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from drawsguard.points.database import close
from drawsguard.points.downline.structures import STRUCTURE_WORKBOOK
from drawsguard.settings import get_settings
from hooks import points_databases
from hooks.nos_hook import NosError, NosHook, NosRefusedError
from local.nos.server import NosServer
from operators.points.downline import nos_structure_operator
from operators.points.downline.nos_structure_operator import NosStructureOperator
from tests.integration.points_world import BATCH, RULES, TODAY, WINDOW, World, new_world, small_world


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NosServer]:
    with NosServer(("127.0.0.1", 0), tmp_path) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("AIRFLOW_CONN_NOS_TEST", f"tcp://127.0.0.1:{made.server_address[1]}")
        yield made
        made.shutdown()


def hook(**changes: float) -> NosHook:
    return NosHook("nos_test", **({"timeout": 2.0, "pause": 0.01} | changes))  # type: ignore[arg-type]


def faults(server: NosServer, **by_point: list[str]) -> None:
    (server.state / "faults.json").write_text(json.dumps({name[1:]: kinds for name, kinds in by_point.items()}))


def test_many_points_are_asked_for_over_one_connection(server: NosServer) -> None:
    with hook() as nos:
        found = [nos.structure(point) for point in range(1000, 1200)]
    assert [structure.point_id for structure in found] == list(range(1000, 1200))
    assert found[3].field_template == "1003:{day}"
    assert server.connections == 1


@pytest.mark.parametrize("fault", ["garbage", "nothing", "half", "no_json", "wrong_point"])
def test_a_bad_answer_is_asked_for_again_on_a_new_connection(server: NosServer, fault: str) -> None:
    faults(server, p7=[fault, fault, "none"])
    with hook() as nos:
        assert nos.structure(6).point_id == 6
        assert nos.structure(7).point_id == 7
        assert nos.structure(8).point_id == 8
    assert server.asked[7] == 3
    assert server.connections == 3


def test_a_server_that_hangs_is_given_up_after_the_time_out(server: NosServer) -> None:
    faults(server, p7=["hang", "none"])
    with hook(timeout=0.3) as nos:
        assert nos.structure(7).point_id == 7


def test_an_error_is_not_asked_again_and_the_connection_is_kept(server: NosServer) -> None:
    faults(server, p7=["error"])
    with hook() as nos:
        with pytest.raises(NosRefusedError, match="no structure for point 7: NOT_FOUND"):
            nos.structure(7)
        assert nos.structure(8).point_id == 8
    assert (server.asked[7], server.connections) == (1, 1)


def test_a_fault_that_stays_ends_with_what_to_do(server: NosServer) -> None:
    faults(server, p7=["garbage"])
    with hook(attempts=3) as nos, pytest.raises(NosError, match=r"point 7 in 3 attempts.*clear the task"):
        nos.structure(7)
    assert server.asked[7] == 3


def test_a_server_that_is_down_is_named(server: NosServer) -> None:
    server.server_close()
    server.shutdown()
    with hook(attempts=2, timeout=0.3) as nos, pytest.raises(NosError, match="nos_test"):
        nos.structure(7)
    assert hook(timeout=0.3).test_connection()[0] is False


# --- the operator -------------------------------------------------------------------------------------
@pytest.fixture
def task(
    stack: Any, server: NosServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[World, NosStructureOperator]]:
    """A confirmed batch of ten points, and the task that asks for their structures."""
    world = new_world(stack.require("mysql").config)
    world.load(*small_world())
    world.confirm()
    monkeypatch.setenv("DRAWSGUARD_NOS_CONN_ID", "nos_test")
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path / "artifacts"))
    get_settings.cache_clear()
    monkeypatch.setattr(points_databases, "business_today", lambda: TODAY)
    monkeypatch.setattr(points_databases, "evidence_expected_until", lambda: WINDOW.last)
    monkeypatch.setattr(points_databases, "get_policy", lambda: RULES)
    monkeypatch.setattr(nos_structure_operator, "NosHook", lambda _conn_id: hook(attempts=2))
    clusters = {row.id: row.cluster for rows in small_world()[0].points.values() for row in rows}
    (server.state / "clusters.json").write_text(json.dumps(clusters))
    yield world, NosStructureOperator(task_id="nos", batch_id=BATCH)
    get_settings.cache_clear()
    close(world.governance)


@pytest.mark.integration
def test_every_structure_is_kept_as_data_and_workbook(task: Any, tmp_path: Path) -> None:
    world, operator = task
    assert operator.execute({}) == 10
    assert [s.point_id for s in world.repositories.structures.of_batch(BATCH) if s.cluster == "redis_mq"] == [
        11,
        12,
        13,
    ]
    assert (tmp_path / "artifacts" / BATCH / STRUCTURE_WORKBOOK).exists()


@pytest.mark.integration
def test_when_nos_dies_halfway_what_arrived_is_kept_and_a_retry_asks_for_the_rest(task: Any, server: NosServer) -> None:
    world, operator = task
    faults(server, p5=["nothing"], p6=["error"])
    with pytest.raises(AirflowException, match="2 of 10 points have no structure"):
        operator.execute({})
    assert len(world.repositories.structures.of_batch(BATCH)) == 8
    faults(server)
    asked = server.asked.total()
    assert operator.execute({}) == 10
    assert server.asked.total() - asked == 2


@pytest.mark.integration
def test_a_structure_of_another_cluster_is_no_structure(task: Any, server: NosServer) -> None:
    world, operator = task
    (server.state / "clusters.json").write_text(json.dumps({"11": "redis_mq", "12": "redis_mq"}))
    with pytest.raises(AirflowException, match="NOS names cluster redis_evt_A for point 13, MySQL redis_mq"):
        operator.execute({})
    assert len(world.repositories.structures.of_batch(BATCH)) == 9
