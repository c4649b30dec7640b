"""The embedded stack itself: start, stop, crash, taken ports, missing means."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from xmlrpc.client import dumps

import psutil
import pytest
import redis
from supervisor.xmlrpc import UnixStreamHTTPConnection

from local import stack as stack_module
from local.config import Config
from local.services import SERVICES
from local.stack import Stack, StackError
from local.up import check_auth_manager

pytestmark = pytest.mark.integration


@pytest.fixture
def small_stack(tmp_path_factory, ports_of_a_stack):
    """A stack of its own with the two lightest services."""
    config = Config(tmp_path_factory.mktemp("s"), ports_of_a_stack(), dict(os.environ))
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


def test_a_discarded_stack_leaves_no_process_and_no_shared_memory(small_stack):
    small_stack.up(["postgres", "redis"])
    family = psutil.Process(small_stack.supervisor_pid()).children(recursive=True)
    assert len(family) > 3, "PostgreSQL has children of its own, or this test shows little"
    server = _pid(small_stack, "postgres")
    assert _shared_memory(server)
    small_stack.discard()
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert small_stack.running() == {}
    assert _shared_memory(server) == []
    small_stack.discard()  # harmless


def _shared_memory(creator: int) -> list[str]:
    """Return the System V segments that a process made: a PostgreSQL server has one, which outlives a SIGKILL."""
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [segment for segment in segments if segment.split()[4] == str(creator)]


def test_another_auth_manager_beside_a_running_stack_is_refused(small_stack):
    small_stack.up(["smtp"])
    check_auth_manager(small_stack)
    environ = small_stack.config.environ | {"AUTH_MANAGER": "fab"}
    other = Stack(Config(small_stack.config.state, small_stack.config.port_base, environ))
    with pytest.raises(StackError, match="runs with the auth manager simple, and AUTH_MANAGER asks for fab"):
        check_auth_manager(other)


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


def test_a_killed_service_takes_what_it_has_started_with_it(small_stack, monkeypatch):
    """A child that lives on holds its parent's port, and the service could not be started again."""
    written = Stack._write_configuration

    def with_a_child(stack: Stack) -> str:
        path = Path(written(stack))
        command = f"command = {sys.executable} -m local.run redis"
        deaf = "command = bash -c 'trap \"\" TERM; sleep 300 & exec sleep 300'"
        path.write_text(path.read_text().replace(command, deaf))
        return str(path)

    monkeypatch.setattr(Stack, "_write_configuration", with_a_child)
    small_stack.ensure_supervisor()
    small_stack._rpc().startProcess("redis", False)
    deadline = time.monotonic() + 20
    while not (children := psutil.Process(_pid(small_stack, "redis")).children()) and time.monotonic() < deadline:
        time.sleep(0.1)
    (child,) = children
    small_stack.kill("redis")
    assert psutil.wait_procs([child], timeout=5)[1] == []


def _ask(client: UnixStreamHTTPConnection, method: str, *arguments: object) -> None:
    """Send a request to supervisord without waiting for the answer."""
    client.request("POST", "/RPC2", dumps(arguments, f"supervisor.{method}"), {"Content-Type": "text/xml"})


def _connected(stack: Stack) -> UnixStreamHTTPConnection:
    """Return a client that supervisord has answered once; its connection stays open."""
    client = UnixStreamHTTPConnection("localhost")
    client.socketfile = str(stack._socket)
    _ask(client, "getPID")
    client.getresponse().read()
    return client


def test_supervisord_waits_without_using_the_processor(small_stack):
    """Clients that leave in the very turn in which a service starts, as happens when many are started at once.

    supervisord goes on polling the descriptors of the closed connections, and the service gets their numbers for its
    pipes. MariaDB closes its standard input: had that pipe no other reader, every poll would return at once.
    """
    small_stack.up(["redis"])
    supervisor = psutil.Process(small_stack.supervisor_pid())
    # The last one's answer shows that supervisord has done with the others and waits for their next word.
    *leaving, starting, _last = [_connected(small_stack) for _ in range(6)]
    supervisor.suspend()  # so that it sees what follows in one turn
    for client in leaving:
        client.close()
    _ask(starting, "startProcess", "mysql", False)
    supervisor.resume()
    assert starting.getresponse().status == 200
    small_stack.up(["mysql"])

    before = supervisor.cpu_times()
    time.sleep(12)
    after = supervisor.cpu_times()
    used = after.user + after.system - before.user - before.system
    assert used < 0.2, f"supervisord used {used:.2f} s of processor time in 12 s; 1 s a minute is allowed"


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
    folder = small_stack.config.directory("redis")
    (folder / "appendonlydir").write_text("a file where Redis needs a folder")
    with pytest.raises(StackError, match=r"redis \(Redis\) is not ready(.|\n)*the end of .*redis.log"):
        small_stack.up(["redis"])


def test_redis_that_listens_and_does_not_answer_is_not_ready(small_stack):
    (service,) = [service for service in SERVICES if service.name == "redis"]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", small_stack.config.port("REDIS_PORT")))
        silent.listen()
        with pytest.raises(redis.TimeoutError):
            service.probe(small_stack.config)


def test_every_service_binds_loopback_and_has_a_port_of_its_own():
    config = Config.from_environment()
    ports = [config.port(variable) for service in SERVICES for variable in service.ports]
    assert len(ports) == len(set(ports))
    assert config.bind == "127.0.0.1"
