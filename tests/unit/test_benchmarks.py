"""`make bench` starts: every benchmark can be imported on its own, and an unknown one is refused by name."""

import subprocess
import sys

from local.config import REPOSITORY


def test_an_unknown_benchmark_is_refused_with_those_that_exist():
    command = [sys.executable, "-m", "benchmarks.run", "nothing"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2, ended.stderr
    known = {path.stem for path in (REPOSITORY / "benchmarks").glob("*_*.py")} - {"__init__", "draws_support"}
    assert {name for name in known if name in ended.stderr} == known
