"""``make bench [BENCH=name]``: run every benchmark module and write ``benchmarks/results.json``.

A benchmark is a module of this package with ``run() -> list[dict]``; each result has the keys
name, ours, alternative, ratio, unit and what. Results of modules that are not run are kept as they were.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import benchmarks

RESULTS = Path(__file__).with_name("results.json")
KEYS = ("name", "ours", "alternative", "ratio", "unit", "what")


def modules() -> list[str]:
    """Return the names of the benchmark modules, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return [name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "run") and name != "run"]


def validated(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with its keys in order.

    :raises ValueError: when a key is missing or unknown.
    """
    if set(result) != set(KEYS):
        raise ValueError(f"a result has the keys {', '.join(KEYS)}; this one has {', '.join(sorted(result))}")
    return {key: result[key] for key in KEYS}


def main() -> int:
    wanted = sys.argv[1:] or modules()
    unknown = set(wanted) - set(modules())
    if unknown:
        print(f"there is no benchmark {', '.join(sorted(unknown))}; known: {', '.join(modules())}", file=sys.stderr)
        return 2
    results = {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    for name in wanted:
        print(f"{name} ...", flush=True)
        for result in importlib.import_module(f"benchmarks.{name}").run():
            results[result["name"]] = validated(result)
            print("  {name:<32} ours {ours} · alternative {alternative} · ratio {ratio} {unit}".format(**result))
        RESULTS.write_text(json.dumps(list(results.values()), indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
