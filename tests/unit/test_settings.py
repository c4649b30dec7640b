"""Settings: a wrong or unknown one is refused by its name; each environment is one file."""

from __future__ import annotations

import os
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from drawsguard import settings as module
from drawsguard.alerts.config import load_alert_config
from drawsguard.settings import (
    CONFIG,
    ENVIRONMENTS,
    REPOSITORY,
    SELECTOR,
    Settings,
    SettingsError,
    config_file,
    get_settings,
    include_folder,
)

LOCAL_SETTINGS = REPOSITORY / "plugins" / "airflow_local_settings.py"
EXAMPLES = ("dev", "production", "staging")

#: A key or a value that looks like a secret has no place in a file that is committed.
SECRET = re.compile(r"passw|secret|token|private|credential|api_?key|://[^/@\s]+:[^/@\s]+@", re.IGNORECASE)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("DRAWSGUARD_")]:
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of one's own, chosen."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "settings.yaml").write_text("project: mine\n", encoding="utf-8")
    monkeypatch.setattr(module, "ENVIRONMENTS", tmp_path)
    monkeypatch.setenv(SELECTOR, "mine")
    return folder


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DRAWSGUARD_PROJCT", "x", "DRAWSGUARD_PROJCT"),
        ("drawsguard_approver", "x", "drawsguard_approver"),
        ("DRAWSGUARD_POINTS_WINDOW_DAYS", "0", r"DRAWSGUARD_POINTS_WINDOW_DAYS.*greater than 0.*'0'"),
        ("DRAWSGUARD_BUSINESS_TIMEZONE", "Asia/Peking", r"DRAWSGUARD_BUSINESS_TIMEZONE.*Asia/Peking"),
        (SELECTOR, "prod", r"DRAWSGUARD_ENVIRONMENT='prod'.*dev, production, staging"),
    ],
)
def test_a_wrong_or_unknown_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        get_settings()


@pytest.mark.parametrize(
    ("line", "said"),
    [("projct: x", "DRAWSGUARD_PROJCT.*settings.yaml|settings.yaml.*DRAWSGUARD_PROJCT"), ("location: ''", "LOCATION")],
)
def test_a_wrong_or_unknown_key_of_the_file_is_refused_by_name(environment: Path, line: str, said: str) -> None:
    (environment / "settings.yaml").write_text(line, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        get_settings()


@pytest.mark.parametrize("command", ["scheduler", "dag-processor", "celery", "api-server", "triggerer", "standalone"])
def test_airflow_does_not_start_with_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("DRAWSGUARD_UNKNOWN", "1")
    monkeypatch.setattr(sys, "argv", ["airflow", command])
    with pytest.raises(Exception, match="DRAWSGUARD_UNKNOWN"):  # the class may be of a module loaded for this
        runpy.run_path(str(LOCAL_SETTINGS))


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.name == "mine"
    assert (get_settings().project, get_settings().location) == ("mine", "us-central1")
    get_settings.cache_clear()
    monkeypatch.setenv("DRAWSGUARD_PROJECT", "tried")
    assert get_settings().project == "tried"


def test_an_environment_may_have_its_own_checks_alerts_clusters_and_limits(environment: Path) -> None:
    assert config_file("alerts.yaml") == CONFIG / "alerts.yaml"
    own = environment / "alerts.yaml"
    own.write_text((CONFIG / "alerts.yaml").read_text("utf-8").replace("p1_delay_minutes: 5 ", "p1_delay_minutes: 7 "))
    assert config_file("alerts.yaml") == own
    assert load_alert_config(own).p1_delay_minutes == 7


def test_every_configuration_file_is_found_through_the_environment() -> None:
    path = re.compile(r'"include" / "(config|environments)"|INCLUDE / "config"')
    found = [file.name for file in (REPOSITORY / "plugins").rglob("*.py") if path.search(file.read_text("utf-8"))]
    assert found == ["settings.py"]


def test_there_is_an_example_for_each_environment() -> None:
    assert sorted(path.name for path in ENVIRONMENTS.iterdir()) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_read_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(SELECTOR, name)
    text = (ENVIRONMENTS / name / "settings.yaml").read_text("utf-8")
    assert get_settings().project == yaml.safe_load(text)["project"]
    assert [line for line in text.splitlines() if SECRET.search(line) and not line.startswith("#")] == []
    others = {path.name for path in (ENVIRONMENTS / name).iterdir()} - {"settings.yaml"}
    assert others <= {path.name for path in CONFIG.iterdir()}


def test_every_setting_of_the_examples_differs_from_its_default_somewhere() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    values = [yaml.safe_load((ENVIRONMENTS / name / "settings.yaml").read_text("utf-8")) for name in EXAMPLES]
    assert [
        key for key in set().union(*values) if all(v.get(key, defaults[key]) == defaults[key] for v in values)
    ] == []


def test_include_is_found_beside_plugins_and_where_composer_puts_it(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    (plugins / "include").mkdir(parents=True)
    assert include_folder(plugins) == plugins / "include"
    (plugins / "include").rmdir()
    assert include_folder(plugins) == tmp_path / "include"
