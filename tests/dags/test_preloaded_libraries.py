"""What Airflow's forking processes load once: the libraries exist, and other commands are spared them."""

import importlib
import importlib.util
import runpy
import sys
from pathlib import Path

import airflow.configuration  # noqa: F401 - loaded before importlib is replaced below, whichever test comes first
import pytest

SETTINGS = Path(__file__).resolve().parents[2] / "plugins" / "airflow_local_settings.py"


@pytest.fixture
def loaded(monkeypatch):
    def run(*command: str) -> list[str]:
        names: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(importlib, "import_module", names.append)
            patch.setattr(sys, "argv", ["airflow", *command])
            runpy.run_path(str(SETTINGS))
        return names

    return run


@pytest.mark.parametrize("command", [["scheduler"], ["dag-processor"], ["celery", "worker"]])
def test_processes_that_fork_tasks_load_libraries_that_exist(loaded, command):
    names = loaded(*command)
    assert "airflow.providers.google.cloud.operators.bigquery" in names
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("command", [["api-server"], ["triggerer"], ["db", "migrate"], []])
def test_others_load_nothing(loaded, command):
    assert loaded(*command) == []


def test_our_own_modules_are_left_to_the_tasks(loaded):
    ours = {path.stem for path in SETTINGS.parent.iterdir()}
    assert not ours & {name.split(".")[0] for name in loaded("scheduler")}
