"""`make bench` starts: every benchmark can be imported on its own, and an unknown one is refused by name."""

import json
import subprocess
import sys

from benchmarks import histories
from local.config import REPOSITORY


def test_an_unknown_benchmark_is_refused_with_those_that_exist():
    command = [sys.executable, "-m", "benchmarks.run", "nothing"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2, ended.stderr
    known = {path.stem for path in (REPOSITORY / "benchmarks").glob("*_*.py")} - {"__init__", "draws_support"}
    assert {name for name in known if name in ended.stderr} == known


def test_a_soak_of_an_unknown_size_is_refused_with_those_that_exist(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["histories"])
    monkeypatch.setenv("SEED", "1")
    monkeypatch.setenv("SIZE", "huge")
    assert histories.main() == 2
    assert "small, full, horizon" in capsys.readouterr().err


def test_a_soak_is_recorded_beside_the_other_results(monkeypatch, tmp_path):
    results = tmp_path / "results.json"
    results.write_text('[{"name": "other"}]')
    monkeypatch.setattr(histories, "RESULTS", results)
    histories.record(
        [
            {"seed": 7, "size": "small", "steps": 20, "mismatches": 0},
            {"seed": 8, "size": "full", "steps": 40, "mismatches": 3},
        ]
    )
    other, played, wrong = json.loads(results.read_text())
    assert other == {"name": "other"}
    assert (played["name"], played["ours"]) == ("soak_draws_histories", 2)
    assert "1 full, 0 horizon, 1 small; seeds 7 to 8" in played["what"]
    assert (wrong["name"], wrong["ours"]) == ("soak_draws_mismatches", 3)
