"""Every statement file is executed by a test on its engine; a full run fails with the names of those that are not.

A file counts when a text that was rendered from it reaches an engine's driver and the engine takes it, in this process
or in another worker of pytest-xdist. Statements that only static tests read, or that run inside a started Airflow, do
not count. A run of some tests only, or one that was broken off, judges nothing.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

#: Files that no test executes, with the reason. One that a test executes after all has to leave this list.
KNOWN_GAPS: dict[str, str] = {
    "bigquery/monitoring/reports/cost_by_dag.sql": "the emulator has no INFORMATION_SCHEMA.JOBS and refuses the job",
}


@dataclass(frozen=True)
class Driver:
    """A method of a driver through which statements reach an engine.

    :param module: where the class is; imported only when a test needs an engine.
    :param text_of: finds the statement in the call's arguments; None when the call carries none.
    """

    module: str
    class_name: str
    method: str
    text_of: Callable[[tuple[Any, ...], dict[str, Any]], Any]


def _first_argument(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return arguments[0] if arguments else keywords.get("query", keywords.get("operation"))


def _query_of_job(_arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    data = keywords.get("data") or {}
    return data.get("configuration", {}).get("query", {}).get("query")


DRIVERS = (
    # Both the client's own queries and the jobs of Airflow's operator are posted through this method.
    Driver("google.cloud.bigquery", "Client", "_call_api", _query_of_job),
    Driver("MySQLdb.cursors", "BaseCursor", "execute", _first_argument),
    Driver("MySQLdb.cursors", "BaseCursor", "executemany", _first_argument),
    Driver("pyhive.hive", "Cursor", "execute", _first_argument),
)


def bare(statement: str) -> str:
    """Return a statement without comments, spaces and semicolons: callers split, strip and reformat it."""
    return re.sub(r"[\s;]+", "", re.sub(r"--[^\n]*", "", statement))


@dataclass(eq=False)  # pytest keeps its plugins in sets
class ExecutedStatements:
    """The pytest plugin.

    :param root: the folder of the statement files.
    :param gaps: files that need not be executed, with the reason.
    """

    root: Path = REPOSITORY / "include" / "sql"
    gaps: dict[str, str] = field(default_factory=lambda: dict(KNOWN_GAPS))
    drivers: tuple[Driver, ...] = DRIVERS
    executed: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    _rendered: dict[str, str] = field(default_factory=dict)
    _on_engine: bool = True

    # --- recording --------------------------------------------------------------------------------------
    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Listen where a test of this run needs an engine."""
        if any(item.get_closest_marker("integration") for item in session.items):
            self._listen()

    def _listen(self) -> None:
        from drawsguard import sql

        render_from = sql.render_from

        @functools.wraps(render_from)
        def recorded(root: Path, path: str, /, **identifiers: Any) -> str:
            text = render_from(root, path, **identifiers)
            if root == self.root:
                self._rendered[bare(text)] = path
            return text

        sql.render_from = recorded
        for driver in self.drivers:
            self._wrap(driver)

    def _wrap(self, driver: Driver) -> None:
        owner = getattr(importlib.import_module(driver.module), driver.class_name)
        method = getattr(owner, driver.method)

        @functools.wraps(method)
        def listening(driven: Any, *arguments: Any, **keywords: Any) -> Any:
            answer = method(driven, *arguments, **keywords)
            text = driver.text_of(arguments, keywords)
            if isinstance(text, str | bytes):
                self.record(text if isinstance(text, str) else text.decode(errors="replace"))
            return answer

        setattr(owner, driver.method, listening)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Listen to tests on engines only: the analyzer's send statements through a client that reaches none."""
        self._on_engine = item.get_closest_marker("integration") is not None

    def record(self, statement: str) -> None:
        """Count the file from which a statement, or a part of a script, was rendered."""
        if not self._on_engine:
            return
        text = bare(statement)
        if text in self._rendered:
            self.executed.add(self._rendered[text])
        elif len(text) > 20:  # a script's statements run one by one
            self.executed.update(path for rendered, path in list(self._rendered.items()) if text in rendered)

    # --- judging ----------------------------------------------------------------------------------------
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has executed."""
        self.executed.update(getattr(node, "workeroutput", {}).get("executed_statements", []))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Hand the names over (worker), or fail a full run that left some out."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["executed_statements"] = sorted(self.executed)
        elif is_full(session.config, exitstatus):
            self.problems = self.judge()
            if self.problems:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def judge(self) -> list[str]:
        """Return what is wrong: a line a file."""
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*.sql")}
        return [
            *(f"{name}: no test executes it on its engine" for name in sorted(files - self.executed - set(self.gaps))),
            *(f"{name}: is executed; take it out of KNOWN_GAPS" for name in sorted(self.executed & set(self.gaps))),
            *(f"{name}: there is no such file; take it out of KNOWN_GAPS" for name in sorted(set(self.gaps) - files)),
        ]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what is wrong."""
        if self.problems:
            terminalreporter.section("statements that no test executes", red=True)
            for problem in self.problems:
                terminalreporter.write_line(problem)


def is_full(config: pytest.Config, exitstatus: int) -> bool:
    """Tell whether the run was asked for all tests and reached its end."""
    option = config.option
    chosen = any(getattr(option, name, None) for name in ("keyword", "markexpr", "deselect", "ignore", "ignore_glob"))
    chosen |= any(
        getattr(option, name, False) for name in ("lf", "last_failed", "collectonly", "stepwise", "failedfirst")
    )
    everything = config.args_source in (pytest.Config.ArgsSource.TESTPATHS, pytest.Config.ArgsSource.INVOCATION_DIR)
    finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not getattr(option, "maxfail", 0)
    return everything and not chosen and finished
