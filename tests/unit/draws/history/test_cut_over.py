"""What an approver of a cut-over sees, and what the digest covers."""

from __future__ import annotations

from dataclasses import replace

from drawsguard.draws.history.cut_over import CutOver, Month
from drawsguard.templates import render_template

PLAN = CutOver("target", "pc28", (Month("2024-12", 124, 5, 2),), None, {}, done=False)


def test_rows_that_arrive_while_a_question_waits_do_not_change_the_digest() -> None:
    assert replace(PLAN, faults={"created_at_missing": 3}).digest == PLAN.digest
    assert replace(PLAN, retired_features="draws_14w_unpartitioned").digest != PLAN.digest
    assert replace(PLAN, months=(Month("2024-12", 125, 5, 2),)).digest != PLAN.digest


def test_the_page_counts_what_is_set_aside_and_names_the_features() -> None:
    full = replace(PLAN, faults={"created_at_missing": 3}, retired_features="draws_14w_unpartitioned")
    names = {"requester": "r", "run_url": "http://run", "runbook": "http://book"}
    page = render_template("history/approval.md", proposal=full, **names)
    assert "(`created_at_missing`): **3**" in page
    assert "`draws_14w_unpartitioned`" in page
    assert "draws_14w" not in render_template("history/approval.md", proposal=PLAN, **names)
