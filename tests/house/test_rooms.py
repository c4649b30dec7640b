"""Imports follow the flow of the data, and a file does one job; every rule is shown to fire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from drawsguard.settings import REPOSITORY
from tests.house import rooms


@pytest.fixture(scope="module")
def plugins() -> dict[str, Path]:
    return rooms.modules_of(REPOSITORY / "plugins")


@pytest.fixture(scope="module")
def dags() -> dict[str, Path]:
    return rooms.dag_modules(REPOSITORY / "dags")


def write(root: Path, files: Mapping[str, str]) -> dict[str, Path]:
    """Write modules (dotted name → text) below ``root`` and return them."""
    for name, text in files.items():
        path = root / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return rooms.modules_of(root)


def test_imports_follow_the_flow(plugins: dict[str, Path], dags: dict[str, Path]) -> None:
    assert len(plugins) > 150
    assert len(dags) > 20
    assert rooms.against_the_flow({**plugins, **dags}) == []


def test_the_domain_knows_no_airflow(plugins: dict[str, Path]) -> None:
    assert rooms.knows_airflow(plugins) == []


def test_no_folder_is_loaded_as_a_plugin() -> None:
    """Airflow's loader would execute each file and register it under its bare name."""
    folders = {f"{path.parent.name}/" for path in (REPOSITORY / "plugins").glob("*/__init__.py")}
    assert folders <= set((REPOSITORY / "plugins/.airflowignore").read_text().splitlines())


def test_no_circle_of_imports(plugins: dict[str, Path]) -> None:
    assert rooms.circles(plugins) == []


def test_one_operator_a_file(plugins: dict[str, Path]) -> None:
    assert rooms.several_operators(plugins) == []


def test_dag_files_are_wiring(dags: dict[str, Path]) -> None:
    assert rooms.long_dags(dags) == []


def test_every_room_of_the_table_lists_rooms_of_the_table() -> None:
    assert {room for allowed in rooms.MAY_IMPORT.values() for room in allowed} <= rooms.MAY_IMPORT.keys()


def test_the_table_itself_has_no_circle() -> None:
    """If two rooms might import each other, the table would allow a circle between them."""
    below: set[str] = set()
    while rest := rooms.MAY_IMPORT.keys() - below:
        ready = {room for room in rest if rooms.MAY_IMPORT[room] <= below}
        assert ready, f"these rooms may import each other: {sorted(rest)}"
        below |= ready


@pytest.mark.parametrize(
    ("importer", "text", "refused"),
    [
        ("drawsguard.settings", "from drawsguard.draws.window import Window", "ground may not import draws"),
        ("drawsguard.draws.model", "from drawsguard.draws.sync import target", "draws may not import draws.sync"),
        (
            "drawsguard.draws.collect.feed",
            "def f():\n    from drawsguard.draws.sync.target import X",
            "draws.collect may not import draws.sync",
        ),
        (
            "drawsguard.points.review.usage",
            "import drawsguard.points.downline.plan",
            "points.review may not import points.downline",
        ),
        (
            "drawsguard.monitoring.checks",
            "from drawsguard.alerts.state import Alert",
            "monitoring may not import alerts",
        ),
        ("drawsguard.points.review.usage", "from ..downline.plan import Plan", "may not import points.downline"),
        ("hooks.some_hook", "from operators.some_operator import X", "hooks may not import operators"),
        ("notifiers.mail", "from operators.some_operator import X", "notifiers may not import operators"),
        ("notifiers.mail", "from operators import some_operator", "notifiers may not import operators"),
        ("health_plugin", "from operators.some_operator import X", "plugin may not import operators"),
        ("dags.some_dag", "from hooks.some_hook import X", "dags may not import hooks"),
        ("dags.some_dag", "from drawsguard.draws.sync.target import X", "dags may not import draws.sync"),
        ("drawsguard.attic.old", "", "does not list"),
        ("drawsguard.points.attic.old", "", "does not list"),
    ],
)
def test_an_import_against_the_flow_is_found(tmp_path: Path, importer: str, text: str, refused: str) -> None:
    present = [
        "drawsguard.draws.window", "drawsguard.draws.sync.target", "drawsguard.points.downline.plan",
        "drawsguard.alerts.state", "operators.some_operator", "hooks.some_hook",
    ]  # fmt: skip
    modules = write(tmp_path, {**dict.fromkeys(present, ""), importer: text})
    (found,) = rooms.against_the_flow(modules)
    assert found.startswith(importer)
    assert refused in found


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("drawsguard.draws.features.refresh", "from drawsguard.draws.sync.target import X"),
        ("operators.some_operator", "from drawsguard.draws.sync.target import X"),
        ("dags.some_dag", "from drawsguard.points.telemetry.config import points_config"),
        ("drawsguard.draws.sync.target", "from drawsguard.draws.sync.other import Y"),
    ],
)
def test_an_import_along_the_flow_is_allowed(tmp_path: Path, importer: str, text: str) -> None:
    present = ["drawsguard.draws.sync.target", "drawsguard.draws.sync.other", "drawsguard.points.telemetry.config"]
    assert rooms.against_the_flow(write(tmp_path, {**dict.fromkeys(present, ""), importer: text})) == []


@pytest.mark.parametrize(
    "text",
    ["import airflow", "from airflow.sdk import DAG", "from hooks.nos_hook import NosHook", "from local import stack"],
)
def test_airflow_in_the_domain_is_found(tmp_path: Path, text: str) -> None:
    modules = write(tmp_path, {"drawsguard.points.plan": text, "operators.fine_operator": text})
    assert [line.split()[0] for line in rooms.knows_airflow(modules)] == ["drawsguard.points.plan"]


def test_circles_are_found_whatever_their_length(tmp_path: Path) -> None:
    modules = write(
        tmp_path,
        {
            "drawsguard.a": "from drawsguard import b",
            "drawsguard.b": "import drawsguard.c",
            "drawsguard.c": "def f():\n    from drawsguard.a import X",
            "drawsguard.d": "from .e import X",
            "drawsguard.e": "from drawsguard.d import Y",
            "drawsguard.f": "from drawsguard.a import X",
        },
    )
    assert rooms.circles(modules) == [
        "drawsguard.a → drawsguard.b → drawsguard.c → drawsguard.a",
        "drawsguard.d → drawsguard.e → drawsguard.d",
    ]


TWO = "class FirstOperator(BaseOperator): ...\nclass SecondSensor(sensors.BaseSensorOperator): ...\n"
ONE = "class _Base(BaseOperator): ...\nclass OnlyOperator(_BaseOperator): ...\nclass Helper: ...\n"


@pytest.mark.parametrize(
    ("text", "allowed", "found"),
    [
        (TWO, (), ["operators.pair_operator holds FirstOperator, SecondSensor: one file each"]),
        (TWO, ("operators.pair_operator",), []),
        (ONE, (), []),
        (ONE, ("operators.pair_operator",), ["operators.pair_operator holds one operator: remove it from"]),
    ],
)
def test_two_operators_in_a_file_are_found(
    tmp_path: Path, text: str, allowed: tuple[str, ...], found: list[str]
) -> None:
    problems = rooms.several_operators(write(tmp_path, {"operators.pair_operator": text}), allowed)
    assert len(problems) == len(found)
    assert all(problem.startswith(start) for problem, start in zip(problems, found, strict=True))


@pytest.mark.parametrize(
    ("lines", "allowed", "found"),
    [
        (rooms.DAG_LINES, (), []),
        (rooms.DAG_LINES + 1, (), ["long_dag has 101 lines, at most 100: move decisions out"]),
        (rooms.DAG_LINES + 1, ("long_dag",), []),
        (rooms.DAG_LINES, ("long_dag",), ["long_dag is short enough: remove it from LONG_DAGS"]),
    ],
)
def test_a_long_dag_file_is_found(tmp_path: Path, lines: int, allowed: tuple[str, ...], found: list[str]) -> None:
    (tmp_path / "long_dag.py").write_text("x = 1\n" * lines)
    assert rooms.long_dags(rooms.dag_modules(tmp_path), allowed) == found


def test_files_are_made_where_they_can_be_stored(plugins: dict[str, Path]) -> None:
    assert rooms.local_writes(plugins) == []
    assert set(rooms.WRITES_FILES) <= set(plugins)


def test_a_write_to_this_workers_disk_is_found(tmp_path: Path) -> None:
    modules = write(
        tmp_path,
        {
            "operators.bad": "def go():\n    Path('/x').write_text('x')\n    open('y', 'w')\n    os.mkdir('z')\n",
            "operators.good": "def go():\n    with artifacts.drafts() as folder:\n        folder.write_text('x')\n",
            "drawsguard.good": "def write(path: Path) -> None:\n    path.write_text('x')\n    open('y', 'rb')\n",
        },
    )
    assert [one.split(" ")[0] for one in rooms.local_writes(modules)] == [
        "operators.bad:2",
        "operators.bad:3",
        "operators.bad:4",
    ]
