"""The NOS hook against a server that answers structures, errors, garbage, nothing, and half answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooks.nos_hook import NosError, NosHook, NosRefusedError
from local.nos.server import NosServer


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
