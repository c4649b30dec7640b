"""The embedded stack: ``python -m local.stack up [SERVICE…] | down | status | logs [SERVICE] | env``.

supervisord keeps the processes; this starts them in order, waits until each is ready and says what is wrong.
State is one folder (STACK_DIR, default .local/stack); ports are PORT_BASE plus a fixed offset.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from local.config import REPOSITORY, Config
from local.services import AIRFLOW_PROCESSES, SERVICES, Service, by_name

GIB = 1024**3
#: What the whole stack takes at peak, with room: checked before anything starts.
NEEDED_MEMORY_GIB, NEEDED_DISK_GIB = 5, 3


class StackError(RuntimeError):
    """The stack cannot do what was asked; the message says why and what to do."""


class Stack:
    """Start, stop and inspect one embedded stack."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config.from_environment()
        self.state = self.config.directory()
        self._socket = self.state / "supervisor.sock"

    # --- supervisord ------------------------------------------------------------------------------
    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def supervisor_pid(self) -> int | None:
        """Return the pid of this stack's supervisord, or None when it does not run."""
        if not self._socket.exists():
            return None
        try:
            return int(self._rpc().getPID())
        except OSError:
            return None

    def _write_configuration(self) -> str:
        logs = self.config.directory("logs")
        settings = configparser.RawConfigParser()
        settings["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        settings["supervisord"] = {
            "logfile": f"{logs}/supervisord.log",
            "pidfile": f"{self.state}/supervisord.pid",
            "childlogdir": str(logs),
            "identifier": "drawsguard",
        }
        factory = "supervisor.rpcinterface:make_main_rpcinterface"
        settings["rpcinterface:supervisor"] = {"supervisor.rpcinterface_factory": factory}
        for service in SERVICES:
            settings[f"program:{service.name}"] = {
                "command": f"{sys.executable} -m local.run {service.name}",
                "directory": str(REPOSITORY),
                "environment": f'STACK_DIR="{self.state}",PORT_BASE="{self.config.port_base}",PYTHONUNBUFFERED="1"',
                "autostart": "false",
                "autorestart": "true",
                # A service that ends within 10 s of its start, three times running, is given up and reported.
                "startsecs": "10",
                "startretries": "2",
                "stopsignal": service.stop_signal,
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": "20",
                "redirect_stderr": "true",
                "stdout_logfile": f"{logs}/{service.name}.log",
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": "2",
            }
        path = self.state / "supervisord.conf"
        with path.open("w") as file:
            settings.write(file)
        return str(path)

    def ensure_supervisor(self) -> None:
        """Start supervisord unless it runs; the services inherit its environment."""
        if self.supervisor_pid() is not None:
            return
        self._end_leftovers()
        self._socket.unlink(missing_ok=True)
        configuration = self._write_configuration()
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", configuration]
        subprocess.run(command, check=True, cwd=REPOSITORY, env=self.config.environ)
        deadline = time.monotonic() + 10
        while self.supervisor_pid() is None:
            if time.monotonic() > deadline:
                raise StackError(f"supervisord did not start; see {self.state}/logs/supervisord.log")
            time.sleep(0.1)

    def _end_leftovers(self) -> None:
        """End what an earlier supervisord left behind when it was killed: exactly the recorded processes."""
        leftovers: list[psutil.Process] = []
        for record in self.state.glob("run/*.json"):
            with contextlib.suppress(psutil.NoSuchProcess, ValueError):
                entry = json.loads(record.read_text())
                process = psutil.Process(entry["pid"])
                if process.create_time() == entry["started"]:
                    leftovers += [process, *process.children(recursive=True)]
            record.unlink(missing_ok=True)
        _end(leftovers)

    def running(self) -> dict[str, str]:
        """Return the state of each service as supervisord sees it; empty when it does not run."""
        if self.supervisor_pid() is None:
            return {}
        processes = self._rpc().getAllProcessInfo()
        return {p["name"]: p["statename"] for p in processes}

    # --- up ---------------------------------------------------------------------------------------
    def up(self, names: Iterable[str] = ()) -> None:
        """Start the named services (default: all) with what they need; wait until each is ready."""
        wanted = _with_requirements(names or [service.name for service in SERVICES])
        started = time.monotonic()
        already = {name for name, state in self.running().items() if state in ("RUNNING", "STARTING")}
        missing = [service for service in wanted if service.name not in already]
        if missing:
            self._check_machine(full=len(missing) > len(SERVICES) // 2)
        self.ensure_supervisor()
        for service in missing:
            self._check_ports(service)
        ready: set[str] = set()
        with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
            results = [pool.submit(self._start, service, service.name in already, ready, started) for service in wanted]
            errors = [str(error) for result in results if (error := result.exception())]
        if errors:
            raise StackError("\n".join(errors))

    def _start(self, service: Service, running: bool, ready: set[str], started: float) -> None:
        while not running and not ready.issuperset(service.after):
            if time.monotonic() - started > 600:
                raise StackError(f"{service.name}: {', '.join(service.after)} did not get ready in 600 s")
            time.sleep(0.2)
        if not running:
            try:
                self._rpc().startProcess(service.name, False)
            except Fault as fault:
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise StackError(f"{service.name}: supervisord says {fault.faultString}") from fault
        deadline, pause = time.monotonic() + service.timeout, 0.2
        while True:
            try:
                service.probe(self.config)
            except Exception as error:  # any failure means "not yet"; the last one is reported
                state = self.running().get(service.name)
                if state in ("FATAL", "EXITED") or time.monotonic() > deadline:
                    raise StackError(self._explain(service, state, error)) from error
                time.sleep(pause)
                pause = min(pause * 1.3, 1.0)  # the light ones answer at once, Airflow takes its time
            else:
                break
        ready.add(service.name)
        if not running:
            print(f"  {service.name:<22} ready after {time.monotonic() - started:5.1f} s", flush=True)

    def _explain(self, service: Service, state: str | None, error: Exception) -> str:
        log = self.state / "logs" / f"{service.name}.log"
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"
        return (
            f"{service.name} ({service.purpose}) is not ready: state {state}, last probe: {error}\n"
            f"  the end of {log}:\n    {tail}\n  repair the cause, then start again: what is running is kept"
        )

    def _check_ports(self, service: Service) -> None:
        for variable in service.ports:
            port = self.config.port(variable)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.config.bind, port))
                except OSError as error:
                    raise StackError(
                        f"{service.name}: port {port} is taken ({error.strerror}); "
                        f"set {variable} to a free port, or PORT_BASE to move all ports"
                    ) from error

    def _check_machine(self, full: bool) -> None:
        if not full:
            return
        memory = psutil.virtual_memory().available / GIB
        disk = shutil.disk_usage(self.state).free / GIB
        for what, have, need in (("memory", memory, NEEDED_MEMORY_GIB), ("disk", disk, NEEDED_DISK_GIB)):
            if have < need:
                raise StackError(
                    f"too little {what}: {have:.1f} GiB free, the stack needs {need} GiB; "
                    f"free some, or start only what you need: make up SERVICES='bigquery feed'"
                )

    # --- down, status, logs -----------------------------------------------------------------------
    def down(self) -> None:
        """Stop exactly what this stack started; harmless when nothing runs."""
        pid = self.supervisor_pid()
        if pid is None:
            self._end_leftovers()
            print("the stack is not running")
            return
        supervisor = psutil.Process(pid)
        family = supervisor.children(recursive=True)
        # The scheduler first, so that no task starts against a stack that is going away.
        for name in AIRFLOW_PROCESSES:
            with contextlib.suppress(Fault):
                self._rpc().stopProcess(name)
        supervisor.send_signal(signal.SIGTERM)
        psutil.wait_procs([supervisor], timeout=60)
        _end([supervisor, *family])
        for record in self.state.glob("run/*.json"):
            record.unlink()
        print("stopped")

    def discard(self) -> None:
        """End everything at once, for a stack whose state goes away with it: nothing is asked to save what it has."""
        pid = self.supervisor_pid()
        if pid is None:
            self._end_leftovers()
            return
        supervisor = psutil.Process(pid)
        family, new = [], [supervisor]
        while new:  # each is halted before its children are listed, so that none starts another meanwhile
            for process in new:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            family += new
            new = [process for process in supervisor.children(recursive=True) if process not in family]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                # PostgreSQL takes its shared memory along, which the system would keep.
                process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)
                process.resume()
        for process in psutil.wait_procs(family, timeout=5)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def kill(self, name: str) -> None:
        """End a service with SIGKILL, as a crash would, and leave it stopped (for fault tests)."""
        # With what it has started: a child that lives on holds its port. The service leads a group of its own.
        if leader := self._rpc().getProcessInfo(name)["pid"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while self.running()[name] not in ("STOPPED", "FATAL"):
            with contextlib.suppress(Fault):  # it may be gone already, and is then started again
                self._rpc().stopProcess(name)
            if time.monotonic() > deadline:
                raise StackError(f"{name}: supervisord does not stop it")

    def status(self) -> int:
        """Print a line for each service; return 0 when all are running, else 3 (as service scripts do)."""
        running = self.running()
        for service in SERVICES:
            ports = " ".join(str(self.config.port(variable)) for variable in service.ports)
            print(f"{service.name:<22} {running.get(service.name, 'STOPPED'):<10} {ports:<12} {service.purpose}")
        return 0 if all(running.get(service.name) == "RUNNING" for service in SERVICES) else 3


def _with_requirements(names: Iterable[str]) -> list[Service]:
    """Return the services with those they come after, in the order of the list."""
    wanted: set[str] = set()
    open_names = list(names)
    while open_names:
        service = by_name(open_names.pop())
        if service.name not in wanted:
            wanted.add(service.name)
            open_names += service.after
    return [service for service in SERVICES if service.name in wanted]


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=15)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["up", "down", "status", "logs", "env"])
    parser.add_argument("services", nargs="*", metavar="SERVICE")
    arguments = parser.parse_args()
    stack = Stack()
    try:
        if arguments.action == "up":
            stack.up(arguments.services)
        elif arguments.action == "down":
            stack.down()
        elif arguments.action == "status":
            return stack.status()
        elif arguments.action == "env":
            for name, value in stack.config.airflow_environment().items():
                print(f"export {name}='{value}'")
        else:
            names = arguments.services or [service.name for service in SERVICES]
            logs = [str(stack.state / "logs" / f"{by_name(name).name}.log") for name in names]
            os.execvp("tail", ["tail", "-n", "50", "-F", *logs])  # noqa: S606
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
