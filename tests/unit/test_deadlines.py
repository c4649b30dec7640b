"""Deadlines: the file that is deployed, and what a wrong one says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from drawsguard.deadlines import DEADLINES_CONFIG, DeadlineError, deadline_of, load_deadlines
from drawsguard.settings import Settings
from notifiers.sla_deadline import sla_deadline

GOOD = """
deadlines:
  a:
    name: a_in_time
    minutes: 5
    priority: P1
    owner: points
    delivered_by: made
    look_at: [{zh: 看日志, en: Read the log}]
"""


def test_an_entry_becomes_what_the_mail_needs(tmp_path: Path) -> None:
    path = tmp_path / "deadlines.yaml"
    path.write_text(GOOD)
    found = deadline_of("a", path)
    assert found.interval(Settings()) == timedelta(minutes=5)
    assert found.address(Settings(points_email="points@example.com")) == "points@example.com"
    assert found.hints() == [["看日志", "Read the log"]]


def test_an_interval_that_is_a_setting_follows_the_setting() -> None:
    found = deadline_of("draw_sync")
    assert found.interval(Settings(sync_deadline_seconds=30)) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("minutes: 5", "minutes: 0", "deadlines.a.minutes"),
        ("minutes: 5", "minute: 5", "deadlines.a.minute"),
        ("    minutes: 5\n", "", "give minutes or setting"),
        ("minutes: 5", "minutes: 5\n    setting: sync_deadline_seconds", "give minutes or setting"),
        ("minutes: 5", "setting: draws_owner", "no setting in seconds"),
        ("priority: P1", "priority: P7", "deadlines.a.priority"),
        ("    delivered_by: made\n", "", "name in delivered_by the task"),
        ("priority: P1\n    owner: points\n    delivered_by: made", "daily: true\n    owner: points", "name in deliv"),
        ("owner: points", "owner: nobody", "deadlines.a.owner"),
        (", en: Read the log", "", "deadlines.a.look_at.0.en"),
        ("deadlines:", "deadlines: [", "not valid"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    path = tmp_path / "deadlines.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(DeadlineError) as refused:
        load_deadlines(path)
    assert str(path) in str(refused.value)
    assert named in str(refused.value)


def test_a_dag_without_an_entry_is_told_where_to_add_it() -> None:
    with pytest.raises(DeadlineError, match=r"deadlines\.yaml has no deadline for nowhere"):
        sla_deadline("nowhere")


def test_every_entry_belongs_to_a_dag() -> None:
    dags = {path.stem for path in (DEADLINES_CONFIG.parents[2] / "dags").rglob("*.py")}
    assert set(load_deadlines()) <= dags


def test_a_deadline_without_a_priority_is_a_mail_alone() -> None:
    assert sla_deadline("monitoring_checks").callback.path.endswith("SlaMissMail")
    assert sla_deadline("points_push").callback.path.endswith("SlaMissAlert")
