"""Every refusal of the truncate guard fires, says what to do, and only the size can be overruled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import window_of
from drawsguard.points.telemetry.push_guard import (
    EMPTY,
    SIZE_CODES,
    Batch,
    Facts,
    PushRefusedError,
    Situation,
    Stamp,
    decide_before,
    decide_truncate,
)
from operators.points.telemetry.push_guard_operator import PushGuardOperator

RULES = points_config().push
WINDOW = window_of(date(2024, 7, 31), 180)
YESTERDAY = "window_2024-02-01_2024-07-29"
TODAY = "window_2024-02-02_2024-07-30"
FACTS = Facts(20_179, 5_000_000, 43_000_000_000)
OLD_FACTS = Facts(20_150, 4_900_000, 42_000_000_000)
OLD = Batch(YESTERDAY, "window", "completed", OLD_FACTS, purged=False, consolidated=False)
OWN = Batch(TODAY, "window", "published", FACTS, purged=False, consolidated=False)

READY = Situation(
    flow="window",
    window=WINDOW,
    source=FACTS,
    stamp=Stamp("2024-02-02", "2024-07-30", FACTS),
    ledger=[OLD],
    stored={YESTERDAY: OLD_FACTS},
)
REASON = "two new products went live"


def test_a_day_that_was_completed_and_never_counted_goes_on_to_that_and_is_not_loaded_again() -> None:
    window = window_of(date(2024, 7, 31), 1)
    facts = Facts(20_000, 1, 2)
    own = Batch("daily_2024-07-30_2024-07-30", "daily", "completed", facts, purged=False, consolidated=False)
    stamp = Stamp("2024-07-30", "2024-07-30", facts)
    day = Situation("daily", window, EMPTY, stamp, [own], {own.batch_id: facts})
    for source in (EMPTY, facts):
        decision = decide_before(replace(day, source=source), RULES)
        assert (decision.action, "not counted yet" in decision.message) == ("resume", True)
        assert decide_truncate("daily", window, own, stamp, source, facts) is False
        counted = replace(day, source=source, ledger=[own._replace(consolidated=True)])
        with pytest.raises(PushRefusedError) as refusal:
            decide_before(counted, RULES)
        assert refusal.value.code == "already_pushed"
    changed = facts._replace(checksum=3)
    built = replace(day, source=changed, stamp=stamp._replace(facts=changed))
    assert decide_before(built, RULES).action == "push"


def with_own(own: Batch, **changes: object) -> Situation:
    changes.setdefault("stored", {YESTERDAY: OLD_FACTS, TODAY: own.facts})
    return replace(READY, ledger=[OLD, own], **changes)  # type: ignore[arg-type]


def of_size(rows: int) -> Situation:
    facts = FACTS._replace(row_count=rows)
    return replace(READY, source=facts, stamp=Stamp("2024-02-02", "2024-07-30", facts))


REFUSALS = {
    "empty_source": (replace(READY, source=EMPTY), "Run points_hive_aggregation for run_date 2024-07-31"),
    "already_pushed": (with_own(OWN._replace(state="completed")), "pushing it again would change nothing"),
    "wrong_window": (
        replace(READY, stamp=Stamp("2024-02-01", "2024-07-29", FACTS)),
        "this run pushes 2024-02-02 to 2024-07-30. Nothing was truncated. Run points_hive_aggregation for run_date",
    ),
    "changed_since_build": (
        replace(READY, source=FACTS._replace(checksum=1)),
        "Something else writes to it. Nothing was truncated. Run points_hive_aggregation for run_date 2024-07-31",
    ),
    "schema_differs": (
        replace(READY, source_columns=[("oper_ts", "timestamp"), ("oper_type", "string")]),
        "Hive cma.ads_evt_ops_status has the columns oper_ts timestamp, oper_type string, expected oper_ts string",
    ),
    "mysql_changed": (
        replace(READY, stored={YESTERDAY: OLD_FACTS._replace(eid_sum=1)}),
        "were changed by someone else: pushed 20150 rows, eid 4900000",
    ),
    "shrunk": (of_size(10_000), "10000 rows, batch window_2024-02-01_2024-07-29 had 20150 (-50.4 %, limit -20.0 %)"),
    "grown": (of_size(40_000), "(+98.5 %, limit +50.0 %). Rows may be duplicated"),
    "too_many_rows": (of_size(5_000_001), "5000001 rows, at most 5000000 expected"),
}


def refused(situation: Situation, reason: str | None = None) -> PushRefusedError:
    with pytest.raises(PushRefusedError) as caught:
        decide_before(situation, RULES, reason)
    return caught.value


def test_a_fresh_build_of_the_right_window_is_pushed() -> None:
    assert decide_before(READY, RULES) == ("push", "", "")


@pytest.mark.parametrize("code", REFUSALS)
def test_each_reason_refuses_and_says_what_to_do(code: str) -> None:
    situation, message = REFUSALS[code]
    refusal = refused(situation)
    assert refusal.code == code
    assert message in str(refusal)


@pytest.mark.parametrize("code", REFUSALS)
def test_a_reason_overrules_the_size_and_nothing_else(code: str) -> None:
    situation, message = REFUSALS[code]
    if code in SIZE_CODES:
        decision = decide_before(situation, RULES, REASON)
        assert (decision.action, decision.overruled_code) == ("push", code)
        assert message in decision.message  # what was overruled is kept
    else:
        assert refused(situation, REASON).code == code


@pytest.mark.parametrize("reason", [None, "", "   ", "ok", "   trust me   "[:12]])
def test_a_reason_must_say_something(reason: str | None) -> None:
    assert refused(of_size(40_000), reason).code == "grown"


def test_too_few_rows_are_refused() -> None:
    assert refused_with_rules(of_size(9), smallest_rows=10).code == "too_few_rows"


def refused_with_rules(situation: Situation, **changes: object) -> PushRefusedError:
    with pytest.raises(PushRefusedError) as caught:
        decide_before(situation, RULES.model_copy(update=changes))
    return caught.value


def test_sizes_at_the_limits_pass() -> None:
    assert decide_before(of_size(round(20_150 * 0.8)), RULES).action == "push"
    assert decide_before(of_size(round(20_150 * 1.5)), RULES).action == "push"


def test_the_first_batch_has_nothing_to_be_compared_with() -> None:
    assert decide_before(replace(of_size(3), ledger=[], stored={}), RULES).action == "push"


def test_a_table_without_a_stamp_is_refused() -> None:
    refusal = refused(replace(READY, stamp=None))
    assert refusal.code == "wrong_window"
    assert "no build stamp" in str(refusal)


def test_another_target_table_is_refused() -> None:
    refusal = refused(replace(READY, target_columns=[*READY.target_columns, ("extra", "int")]))
    assert refusal.code == "schema_differs"
    assert "MySQL rsp_datagovern.ads_evt_ops_status_ago" in str(refusal)


def test_rows_of_a_batch_that_nobody_pushed_are_refused() -> None:
    refusal = refused(replace(READY, stored={**READY.stored, "window_by_hand": Facts(3, 3, 3)}))
    assert refusal.code == "mysql_changed"
    assert "3 rows of batch window_by_hand, which this push never wrote" in str(refusal)


def test_deleted_rows_are_a_change_too_until_the_batch_is_withdrawn() -> None:
    assert refused(replace(READY, stored={})).code == "mysql_changed"
    withdrawn = replace(READY, ledger=[OLD._replace(purged=True)], stored={})
    assert decide_before(withdrawn, RULES).action == "push"


def test_rows_of_a_purged_batch_that_came_back_are_refused() -> None:
    assert refused(replace(READY, ledger=[OLD._replace(purged=True)])).code == "mysql_changed"


# --- killed, and run again ------------------------------------------------------------------------
def test_killed_after_the_commit_the_next_run_resumes() -> None:
    assert decide_before(with_own(OWN), RULES).action == "resume"


def test_killed_while_hive_was_being_emptied_the_next_run_resumes() -> None:
    half = with_own(OWN._replace(state="truncating"), source=EMPTY)
    assert decide_before(half, RULES).action == "resume"


def test_hive_emptied_before_it_was_proven_equal_is_refused() -> None:
    assert refused(with_own(OWN, source=EMPTY)).code == "empty_source"


def test_run_again_after_everything_it_is_refused_as_pushed() -> None:
    assert refused(with_own(OWN._replace(state="completed"), source=EMPTY)).code == "already_pushed"


@pytest.mark.parametrize("state", ["published", "truncating", "completed"])
def test_a_new_build_of_the_same_window_replaces_its_batch(state: str) -> None:
    newer = Facts(20_200, 5_000_100, 44_000_000_000)
    situation = with_own(OWN._replace(state=state), source=newer, stamp=Stamp("2024-02-02", "2024-07-30", newer))
    assert decide_before(situation, RULES).action == "push"


# --- before Hive is emptied -----------------------------------------------------------------------
BUILT = Stamp("2024-02-02", "2024-07-30", FACTS)


def may_truncate(batch: Batch | None, source: Facts, stored: Facts, stamp: Stamp | None = BUILT) -> bool:
    return decide_truncate("window", WINDOW, batch, stamp, source, stored)


def truncate_refused(
    batch: Batch | None, source: Facts, stored: Facts, stamp: Stamp | None = BUILT
) -> PushRefusedError:
    with pytest.raises(PushRefusedError) as caught:
        may_truncate(batch, source, stored, stamp)
    return caught.value


@pytest.mark.parametrize("state", ["published", "truncating"])
@pytest.mark.parametrize("source", [FACTS, EMPTY])
def test_a_build_of_another_window_keeps_hive_whatever_it_holds(state: str, source: Facts) -> None:
    other = Stamp("2024-02-01", "2024-07-29", source)
    refusal = truncate_refused(OWN._replace(state=state), source, FACTS, other)
    assert refusal.code == "wrong_window"
    assert "built from 2024-02-01 to 2024-07-29, this run pushes 2024-02-02 to 2024-07-30" in str(refusal)
    assert "Nothing was truncated" in str(refusal)
    assert truncate_refused(OWN._replace(state=state), source, FACTS, None).code == "wrong_window"


def test_equal_sides_are_truncated() -> None:
    assert may_truncate(OWN, FACTS, FACTS) is True


@pytest.mark.parametrize("field", Facts._fields)
@pytest.mark.parametrize("state", ["published", "truncating"])
def test_any_difference_in_hive_keeps_hive(field: str, state: str) -> None:
    refusal = truncate_refused(OWN._replace(state=state), FACTS._replace(**{field: 7}), FACTS)
    assert refusal.code == "checksum_differs"
    assert "Nothing was truncated" in str(refusal)


@pytest.mark.parametrize("field", Facts._fields)
def test_any_difference_in_mysql_keeps_hive(field: str) -> None:
    assert truncate_refused(OWN, FACTS, FACTS._replace(**{field: 7})).code == "mysql_changed"


def test_a_batch_that_was_never_published_keeps_hive() -> None:
    refusal = truncate_refused(None, FACTS, FACTS)
    assert refusal.code == "not_published"
    assert "run the push task first" in str(refusal)


def test_hive_that_somebody_else_emptied_is_not_called_equal() -> None:
    assert truncate_refused(OWN, EMPTY, FACTS).code == "checksum_differs"


def test_a_half_emptied_hive_is_emptied_to_the_end() -> None:
    assert may_truncate(OWN._replace(state="truncating"), EMPTY, FACTS) is True


def test_a_completed_batch_empties_nothing_any_more() -> None:
    newer = Facts(1, 1, 1)
    assert may_truncate(OWN._replace(state="completed"), newer, FACTS) is False


# --- a run that nobody has asked for --------------------------------------------------------------
DONE = OWN._replace(state="completed")


def guard(situation: Situation, run_type: str) -> str:
    """Have the operator decide on a situation in a run of a type."""
    source = SimpleNamespace(
        refuse_kept_files=lambda: None,
        facts=lambda: situation.source,
        stamp=lambda: situation.stamp,
        columns=lambda: situation.source_columns,
    )
    store = SimpleNamespace(
        ledger=lambda: situation.ledger,
        stored=lambda: situation.stored,
        columns=lambda: situation.target_columns,
        log_decision=lambda *_: None,
    )
    run = SimpleNamespace(run_type=run_type, triggering_user_name="someone" if run_type == "manual" else None)
    operator = PushGuardOperator(task_id="guard_before", flow="window", window=WINDOW.texts())
    context: Any = {"dag_run": run, "run_id": "r"}
    return operator._guard(context, source, store, WINDOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [EMPTY, FACTS])
def test_what_a_person_has_pushed_before_is_no_failure_of_the_scheduled_run(source: Facts) -> None:
    pushed = with_own(DONE, source=source)
    for run_type in ("scheduled", "asset_triggered"):
        with pytest.raises(AirflowSkipException, match="already_pushed"):
            guard(pushed, run_type)
    for run_type in ("manual", "backfill"):
        with pytest.raises(PushRefusedError, match="already_pushed"):
            guard(pushed, run_type)
    assert guard(with_own(OWN), "scheduled") == "resume"
    with pytest.raises(PushRefusedError, match="empty_source"):
        guard(replace(READY, source=EMPTY), "scheduled")
