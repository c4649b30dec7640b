"""The embedded stack itself: start, stop, crash, taken ports, missing means."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil
import pytest

from local import stack as stack_module
from local.config import Config
from local.services import SERVICES
from local.stack import Stack, StackError

pytestmark = pytest.mark.integration


@pytest.fixture
def small_stack(tmp_path_factory, stack):
    """A stack of its own with the two lightest services."""
    config = Config(tmp_path_factory.mktemp("s"), stack.config.port_base + 150, dict(os.environ))
    small = Stack(config)
    yield small
    small.down()


def _pid(stack: Stack, name: str) -> int:
    return next(p["pid"] for p in stack._rpc().getAllProcessInfo() if p["name"] == name)


def test_up_twice_keeps_what_runs_and_down_stops_it(small_stack):
    small_stack.up(["smtp", "redis"])
    first = _pid(small_stack, "redis")
    small_stack.up(["smtp", "redis"])
    assert _pid(small_stack, "redis") == first
    assert small_stack.running()["redis"] in ("RUNNING", "STARTING")
    small_stack.down()
    assert not psutil.pid_exists(first)
    assert small_stack.running() == {}
    small_stack.down()  # harmless


def test_a_killed_supervisor_leaves_nothing_that_blocks_the_next_start(small_stack):
    small_stack.up(["redis"])
    orphan = _pid(small_stack, "redis")
    os.kill(small_stack.supervisor_pid(), signal.SIGKILL)
    time.sleep(0.2)
    assert psutil.pid_exists(orphan), "the service should have survived its supervisor, or this test shows nothing"
    small_stack.up(["redis"])
    assert not psutil.pid_exists(orphan)
    assert _pid(small_stack, "redis") != orphan


def test_a_killed_service_comes_back(small_stack):
    small_stack.up(["redis"])
    time.sleep(10.5)  # supervisord counts a start as good after startsecs
    before = _pid(small_stack, "redis")
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _pid(small_stack, "redis") in (0, before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _pid(small_stack, "redis") not in (0, before)


def test_a_taken_port_is_named_with_the_variable_that_moves_it(small_stack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", small_stack.config.port("REDIS_PORT")))
        taken.listen()
        with pytest.raises(StackError, match=r"redis: port \d+ is taken .* set REDIS_PORT"):
            small_stack.up(["redis"])


def test_too_little_memory_is_said_before_anything_starts(small_stack, monkeypatch):
    monkeypatch.setattr(stack_module, "NEEDED_MEMORY_GIB", 10_000)
    with pytest.raises(StackError, match="too little memory"):
        small_stack.up()
    assert small_stack.supervisor_pid() is None


def test_a_service_that_cannot_start_is_explained_with_its_log(small_stack):
    redis = small_stack.config.directory("redis")
    (redis / "appendonlydir").write_text("a file where Redis needs a folder")
    with pytest.raises(StackError, match=r"redis \(Redis\) is not ready(.|\n)*the end of .*redis.log"):
        small_stack.up(["redis"])


def test_every_service_binds_loopback_and_has_a_port_of_its_own():
    config = Config.from_environment()
    ports = [config.port(variable) for service in SERVICES for variable in service.ports]
    assert len(ports) == len(set(ports))
    assert config.bind == "127.0.0.1"
