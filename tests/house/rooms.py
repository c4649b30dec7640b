"""The rooms of the code and the direction in which they may import, as plain functions: each returns what it finds.

docs/decisions.md ("The rooms") says why the rooms are cut this way. A new room gets a line in `MAY_IMPORT`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: Python files by their dotted name.
Modules = Mapping[str, Path]

_GROUND = frozenset({"ground"})
_DRAWS = _GROUND | {"warehouse", "draws"}
_POINTS = _GROUND | {"points"}
_DOMAIN = frozenset(
    {
        "ground", "warehouse", "approvals", "identity", "monitoring", "alerts",
        "draws", "draws.recent", "draws.collect", "draws.sync", "draws.features", "draws.repair", "draws.replay",
        "draws.history",
        "points", "points.telemetry", "points.review", "points.downline", "points.cleanup",
    }
)  # fmt: skip

#: Room → rooms it may import. A room may always import itself; what is not listed here is refused.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    # Plain Python. The ground: settings, SQL files, templates, and what every room may know.
    "ground": frozenset(),
    "warehouse": _GROUND,
    # The approval is kept in MySQL and serves all teams: it may use the way to run MySQL statements, and no stage.
    "approvals": _POINTS | {"warehouse"},
    # Draws: the stages follow the data.
    "draws": _GROUND,
    # What the newest days hold, without a query: every stage looks there first.
    "draws.recent": _DRAWS,
    "draws.collect": _DRAWS | {"draws.recent"},
    "draws.sync": _DRAWS | {"draws.recent"},
    "draws.features": _DRAWS | {"draws.recent", "draws.sync"},
    # A repair reads the feed again, and then syncs.
    "draws.repair": _DRAWS | {"draws.recent", "draws.collect", "draws.sync"},
    "draws.replay": _DRAWS | {"draws.recent", "draws.sync"},
    "draws.history": _DRAWS | {"draws.sync", "approvals"},
    # Points.
    "points": _GROUND,
    # Alembic loads them; they run the DDL through the schema module.
    "points.migrations": _POINTS,
    "points.telemetry": _POINTS,
    "points.review": _POINTS | {"points.telemetry"},
    "points.downline": _POINTS | {"points.telemetry", "points.review", "approvals"},
    "points.cleanup": _POINTS | {"points.telemetry", "points.review", "points.downline", "approvals"},
    # Identity, monitoring and alerts watch from outside: no stage knows them. What is fresh follows from the cadence.
    "identity": _GROUND | {"warehouse", "approvals"},
    "monitoring": _DRAWS,
    # Alerts are made of what monitoring observed. The replay of broken days needs the cadence of the draws.
    "alerts": _GROUND | {"warehouse", "monitoring", "draws"},
    # Preflight looks at everything that the others rely on; nothing but an operator may rely on it.
    "preflight": _DOMAIN,
    # Pages show what the others know; only the plugin that mounts them may import them.
    "pages": _DOMAIN,
    # Airflow's parts.
    "hooks": _DOMAIN,
    "deadlines": _GROUND,
    "notifiers": _DOMAIN | {"hooks", "deadlines"},
    "dag_params": _GROUND,
    "auth_managers": _GROUND | {"approvals"},
    # The triggerer loads them: they wait, and write nothing.
    "triggers": _DOMAIN | {"hooks"},
    "operators": _DOMAIN | {"hooks", "notifiers", "triggers", "preflight"},
    # Plugin files, which Airflow itself loads: an endpoint or a registration, and no task.
    "plugin": _DOMAIN | {"hooks", "deadlines", "auth_managers", "pages"},
    # DAG files wire operators. From the domain they take names and configuration that are known without any I/O.
    "dags": _GROUND | {"operators", "notifiers", "dag_params"},
}

#: Modules of the domain that a DAG file may import: configuration that decides which tasks exist.
KNOWN_TO_DAGS = frozenset(
    {
        "drawsguard.identity.model",
        "drawsguard.points.environments",
        "drawsguard.points.schema",
        "drawsguard.points.telemetry.config",
        "drawsguard.points.telemetry.day_steps",
        "drawsguard.points.telemetry.oper_type",
    }
)

#: Outside libraries that the domain must not import: it is tested without Airflow.
NOT_IN_THE_DOMAIN = (
    "airflow", "operators", "hooks", "notifiers", "triggers", "deadlines", "dag_params", "auth_managers", "dags",
    "local", "tests",
)  # fmt: skip

#: Files that hold several operators: none, and a new one needs a reason.
SEVERAL_OPERATORS: frozenset[str] = frozenset()

#: Lines of a DAG file at most, its documentation included: a screen or two.
DAG_LINES = 100

#: DAG files that are longer: none, and a new one needs a reason.
LONG_DAGS: frozenset[str] = frozenset()


def modules_of(root: Path) -> dict[str, Path]:
    """Return the modules below ``root`` by their dotted name; a package carries the name of its folder."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def dag_modules(root: Path) -> dict[str, Path]:
    """Return the DAG files below ``root``, named ``dags.<file>``."""
    return {f"dags.{path.stem}": path for path in sorted(root.rglob("*.py"))}


def _is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def room_of(name: str, *, package: bool = False) -> str:
    """Return the room of a module: a folder of the domain, or the top-level folder.

    >>> room_of("drawsguard.settings"), room_of("drawsguard.draws.window"), room_of("drawsguard.draws.sync.target")
    ('ground', 'draws', 'draws.sync')
    """
    parts = name.split(".")
    if parts[0] != "drawsguard":
        return parts[0] if len(parts) > 1 or package else "plugin"
    folders = parts[1:] if package else parts[1:-1]
    return ".".join(folders[:2]) or "ground"


def imports_of(name: str, path: Path, modules: Modules) -> Iterator[str]:
    """Yield what a module imports, anywhere in it: our modules by their full name, others as written."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if _is_package(path) else name.split(".")[:-1]
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in modules else base


def against_the_flow(modules: Modules) -> list[str]:
    """Imports that the table does not allow, and rooms that it does not list."""
    found = []
    for name, path in modules.items():
        room = room_of(name, package=_is_package(path))
        if room not in MAY_IMPORT:
            if not _is_package(path) or path.read_text("utf-8").strip():
                found.append(f"{name} is in the room {room}, which MAY_IMPORT (tests/house/rooms.py) does not list")
            continue
        for other in imports_of(name, path, modules):
            if other not in modules or (room == "dags" and other in KNOWN_TO_DAGS):
                continue
            target = room_of(other, package=_is_package(modules[other]))
            if target != room and target not in MAY_IMPORT[room]:
                found.append(f"{name} imports {other}: {room} may not import {target}")
    return sorted(set(found))


def knows_airflow(modules: Modules) -> list[str]:
    """Modules of the domain that import Airflow, or one of its parts in this repository."""
    return sorted(
        f"{name} imports {other}"
        for name, path in modules.items()
        if name.split(".")[0] == "drawsguard"
        for other in set(imports_of(name, path, modules))
        if other.split(".")[0] in NOT_IN_THE_DOMAIN
    )


def circles(modules: Modules) -> list[str]:
    """Circles of imports among modules, each as ``a → b → a``; an import inside a function counts as well."""
    graph = {
        name: sorted({other for other in imports_of(name, path, modules) if other in modules and other != name})
        for name, path in modules.items()
    }
    found: set[str] = set()
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = trail[trail.index(name) :]
            first = circle.index(min(circle))
            found.add(" → ".join([*circle[first:], *circle[:first], min(circle)]))
        elif name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
    return sorted(found)


def _operators(path: Path) -> list[str]:
    """Return the public operators and sensors that a file defines, by the names of their bases."""
    return [
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any(ast.unparse(base).endswith(("Operator", "Sensor")) for base in node.bases)
    ]


def several_operators(modules: Modules, allowed: Iterable[str] = SEVERAL_OPERATORS) -> list[str]:
    """Files with more than one operator, and exceptions that are no longer needed."""
    several = {
        name: operators
        for name, path in modules.items()
        if name.split(".")[0] == "operators" and len(operators := _operators(path)) > 1
    }
    found = [f"{name} holds {', '.join(several[name])}: one file each" for name in several.keys() - set(allowed)]
    stale = [f"{name} holds one operator: remove it from SEVERAL_OPERATORS" for name in set(allowed) - several.keys()]
    return sorted(found + stale)


def long_dags(modules: Modules, allowed: Iterable[str] = LONG_DAGS) -> list[str]:
    """DAG files of more than `DAG_LINES` lines, and exceptions that are no longer needed."""
    lines = {path.stem: len(path.read_text("utf-8").splitlines()) for path in modules.values()}
    long = {name for name, count in lines.items() if count > DAG_LINES}
    found = [f"{name} has {lines[name]} lines, at most {DAG_LINES}: move decisions out" for name in long - set(allowed)]
    stale = [f"{name} is short enough: remove it from LONG_DAGS" for name in set(allowed) - long]
    return sorted(found + stale)


#: Modules that write files of this machine, and why; all others make artifacts (plugins/hooks/artifacts.py).
WRITES_FILES: Mapping[str, str] = {
    "hooks.artifacts": "the one place that stores artifacts",
    "drawsguard.draws.features.definitions": "writes generated files of this repository, by a developer's command",
    "drawsguard.monitoring.metrics_doc": "writes a page of this repository, by a developer's command",
    "drawsguard.points.telemetry.evidence_repository": "a named pipe for LOAD DATA",
}
_WRITING = frozenset(
    {
        "mkdir",
        "makedirs",
        "write_text",
        "write_bytes",
        "touch",
        "mkdtemp",
        "mkstemp",
        "TemporaryDirectory",
        "NamedTemporaryFile",
    }
)


def _writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return name in _WRITING or (name == "open" and any(set(mode) & set("wax") and len(mode) < 4 for mode in modes))


def local_writes(modules: Modules, allowed: Iterable[str] = WRITES_FILES) -> list[str]:
    """Functions that write to a place of this machine that nobody gave them: other workers would not see it.

    A function is given its place by a parameter of type Path, or asks for `drafts()`.
    """
    found = []
    for name, path in modules.items():
        if name in allowed:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        given: set[ast.Call] = set()
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _writes(node)]
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and (
                any(arg.annotation and ast.unparse(arg.annotation) == "Path" for arg in function.args.args)
                or ".drafts()" in ast.unparse(function)
            ):
                given |= {node for node in ast.walk(function) if isinstance(node, ast.Call)}
        found += [
            f"{name}:{call.lineno} writes to this worker's disk: {ast.unparse(call)}"
            for call in calls
            if call not in given
        ]
    return sorted(found)
