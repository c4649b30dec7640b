"""A full run names the statements that it did not execute; a part of the tests judges nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.executed_statements import REPOSITORY, Driver, ExecutedStatements

CONFTEST = """
from pathlib import Path
from tests.executed_statements import Driver, ExecutedStatements

ROOT = Path(__file__).parent / "sql"


def pytest_configure(config):
    drivers = (Driver("fake_driver", "Cursor", "execute", lambda arguments, _: arguments[0]),)
    config.pluginmanager.register(ExecutedStatements(ROOT, {"gap.sql": "no such engine"}, drivers))
"""
TESTS = """
import pytest
from pathlib import Path
from fake_driver import Cursor
from drawsguard.sql import render_from as too_early
from drawsguard import sql

ROOT = Path(__file__).parent / "sql"
pytestmark = pytest.mark.integration


def test_one():
    Cursor().execute(sql.render_from(ROOT, "one.sql"))


def test_script():
    for part in sql.render_from(ROOT, "script.sql").split(";"):
        Cursor().execute(part)


def test_only_rendered():
    assert sql.render_from(ROOT, "left_out.sql")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    for name in ("one", "left_out", "gap"):
        (tmp_path / "sql" / f"{name}.sql").write_text(f"-- Purpose: p\nSELECT '{name}' AS one;\n")
    (tmp_path / "sql" / "script.sql").write_text("DELETE FROM a_table WHERE x = 1;\nDELETE FROM b_table WHERE x = 1;\n")
    (tmp_path / "fake_driver.py").write_text("class Cursor:\n    def execute(self, text):\n        return text\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "nested").mkdir()  # a folder's own conftest.py has pytest leave plugins out by set arithmetic
    (tmp_path / "nested" / "conftest.py").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = integration: needs an engine\ntestpaths = .\n")
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, (project, REPOSITORY, REPOSITORY / "plugins")))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_full_run_fails_with_the_names_of_what_it_left_out(project: Path, workers: tuple[str, ...]) -> None:
    result = run(project, *workers)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "left_out.sql: no test executes it on its engine" in result.stdout
    assert [name for name in ("one.sql", "script.sql", "gap.sql") if f"{name}:" in result.stdout] == []


def test_a_full_run_passes_when_nothing_is_left_out(project: Path) -> None:
    (project / "sql" / "left_out.sql").unlink()
    (project / "test_it.py").write_text(TESTS[: TESTS.index("def test_only_rendered")])
    result = run(project)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("part", [("test_it.py",), ("-k", "one or script or rendered"), ("-x",)], ids="_".join)
def test_a_part_of_the_tests_judges_nothing(project: Path, part: tuple[str, ...]) -> None:
    assert run(project, *part).returncode == 0


def test_a_gap_that_is_closed_or_gone_leaves_the_list(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("SELECT 1 AS one")
    plugin = ExecutedStatements(tmp_path, {"one.sql": "reason", "gone.sql": "reason"}, ())
    plugin.executed = {"one.sql"}
    assert [line.split(":")[0] for line in plugin.judge()] == ["one.sql", "gone.sql"]


def test_what_an_engine_refuses_is_not_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cursor:
        def execute(self, text: str) -> None:
            raise ValueError(text)

    monkeypatch.setattr(sys.modules[__name__], "Cursor", Cursor, raising=False)
    plugin = ExecutedStatements(drivers=())
    plugin._rendered = {"SELECT1ASone": "one.sql"}
    plugin._wrap(Driver(__name__, "Cursor", "execute", lambda arguments, _: arguments[0]))
    with pytest.raises(ValueError, match="SELECT"):
        Cursor().execute("SELECT 1 AS one;")
    assert plugin.executed == set()
