"""`make bench` starts: every benchmark can be imported on its own, and an unknown one is refused by name."""

import json
import subprocess
import sys
from dataclasses import asdict

from benchmarks import histories
from local.config import REPOSITORY
from local.histories.day import Tally


def test_an_unknown_benchmark_is_refused_with_those_that_exist():
    command = [sys.executable, "-m", "benchmarks.run", "nothing"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2, ended.stderr
    runnable = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py") if "\ndef run(" in path.read_text()}
    listed = ended.stderr.partition("known: ")[2]
    assert {name.strip() for name in listed.split(",")} == runnable


def test_a_soak_of_an_unknown_size_is_refused_with_those_that_exist(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["histories"])
    monkeypatch.setenv("SEED", "1")
    monkeypatch.setenv("SIZE", "huge")
    assert histories.main() == 2
    assert "small, full, horizon, day" in capsys.readouterr().err


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


def test_a_soak_of_days_adds_up_what_each_day_saw(monkeypatch, tmp_path):
    results = tmp_path / "results.json"
    results.write_text("[]")
    monkeypatch.setattr(histories, "RESULTS", results)
    quiet = Tally(faults={"killed: poll": 3}, detected=[5.0, 41.0], rounds=6)
    bad = Tally(faults={"killed: poll": 1, "slow: sync": 2}, lost=1, doubled=2, other=3, rounds=4, detected=[59.0])
    bad.false_alarms, bad.unseen = ["cried"], ["missed"]
    days = [{"seed": seed, "size": "day", "tally": asdict(tally)} for seed, tally in ((7, quiet), (8, bad))]
    histories.record([one | {"steps": 1, "mismatches": 0} for one in days])
    found = {one["name"].removeprefix("soak_draws_"): one["ours"] for one in json.loads(results.read_text())}
    assert found == {
        "faults": 6, "lost": 1, "doubled": 2, "other": 3, "false_alarms": 1, "unseen": 1, "detect_p95_s": 59.0,
    }  # fmt: skip
