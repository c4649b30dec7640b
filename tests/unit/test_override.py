"""Overruling a guard takes a named person and a reason; the DAGs' params that overrule something ask for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from drawsguard.override import SHORTEST_REASON, OverrideRefusedError, check_override, check_reason
from drawsguard.refusal import RefusedError
from operators.operations import alert_command_operator
from operators.operations.alert_command_operator import AlertCommandOperator


@pytest.mark.parametrize("reason", [None, "", "   ", "ok", "x" * (SHORTEST_REASON - 1), "  short  " + " " * 20])
def test_a_reason_that_explains_nothing_is_refused(reason: str | None) -> None:
    with pytest.raises(OverrideRefusedError, match="A mute needs a reason of at least 10 characters"):
        check_reason("A mute", reason)


def run(person: str | None = "lin", cleared: int | None = 0) -> Any:
    return SimpleNamespace(triggering_user_name=person, clear_number=cleared)


@pytest.mark.parametrize("person", [None, ""])
def test_nobody_overrules_nothing(person: str | None) -> None:
    with pytest.raises(RefusedError, match="A mute needs a person who answers for it"):
        check_override("A mute", "the release is being rolled out", run(person))


def test_a_cleared_run_does_not_overrule_again_in_the_name_of_who_triggered_it() -> None:
    with pytest.raises(OverrideRefusedError, match=r"A mute holds for the run that lin triggered, once.*new run"):
        check_override("A mute", "the release is being rolled out", run(cleared=1))


def test_a_reason_is_kept_without_the_blanks_around_it() -> None:
    assert check_override("A mute", "  the release is rolled out \n", run()) == "the release is rolled out"


def test_a_mute_without_a_reason_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_command_operator, "warehouse_client", lambda: pytest.fail("the warehouse was asked"))
    context: Any = {"dag_run": run(), "run_id": "manual__1"}
    mute = AlertCommandOperator(task_id="mute", command="mute", key="check:x", note="ok", hours=1.0)
    with pytest.raises(OverrideRefusedError, match="A mute needs a reason"):
        mute.execute(context)
