"""What Airflow's start refuses: a module that would be imported in the place of one of ours."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from drawsguard.settings import REPOSITORY

PLUGINS = REPOSITORY / "plugins"


@pytest.fixture
def local_settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file as Airflow loads it, for a command that serves nothing."""
    monkeypatch.setattr(sys, "argv", ["airflow", "version"])
    spec = importlib.util.spec_from_file_location("local_settings_of_ours", PLUGINS / "airflow_local_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_of_ours_is_looked_for(local_settings: ModuleType) -> None:
    assert set(local_settings.OURS) == {path.parent.name for path in PLUGINS.glob("*/__init__.py")}


def test_ours_alone_are_no_collision(local_settings: ModuleType, tmp_path: Path) -> None:
    local_settings.refuse_collisions(str(tmp_path))


@pytest.mark.parametrize("theirs", ["operators/__init__.py", "hooks.py"])
def test_a_companys_own_module_on_the_path_is_named(
    local_settings: ModuleType, theirs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / theirs).parent.mkdir(parents=True)
    (tmp_path / "site" / theirs).touch()
    name = theirs.partition("/")[0].removesuffix(".py")
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(ImportError, match=rf"site/{name}.* Rename them"):
        local_settings.refuse_collisions(str(tmp_path))


def test_a_companys_own_module_beside_its_dags_is_named(local_settings: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "notifiers").mkdir()
    with pytest.raises(ImportError, match=str(tmp_path / "notifiers")):
        local_settings.refuse_collisions(str(tmp_path))
