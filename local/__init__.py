"""The embedded stack, its simulators and the demo: everything that replaces production on one machine."""

import sys
from pathlib import Path

# As in Airflow, where plugins/ is on sys.path: `drawsguard` is importable here, too.
_PLUGINS = str(Path(__file__).resolve().parents[1] / "plugins")
if _PLUGINS not in sys.path:
    sys.path.insert(0, _PLUGINS)
