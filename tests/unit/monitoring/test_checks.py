"""Check definitions: each fires and each can be quiet; runbooks, docs and expectations are in step with them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlglot
from pydantic import ValidationError

from drawsguard.alerts.config import load_alert_config
from drawsguard.identity.model import load_services
from drawsguard.monitoring.checks import CHECKS_FILE, RUNBOOKS, Check, Checks, judge, load_checks, unmade
from drawsguard.monitoring.metrics_doc import METRICS_FILE, metrics_page
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import REPOSITORY
from drawsguard.sql import render

CHECKS = load_checks().checks
#: A value on each side of every condition: (passes, fails).
VALUES: dict[str, tuple[Any, Any]] = {
    "status": ("fresh", "stale"), "failing_checks": (0, 1),
    "missing_periods": (0, 1), "unsynced_periods": (0, 1), "conflicting_periods": (20, 21),
    "invalid_rows": (20, 21), "success_rate": (99.0, 98.9), "minutes_since_success": (20, 20.1),
    "success_overdue": (False, True), "errors_last_15min": (2, 3), "longest_gap_seconds": (300, 301),
}  # fmt: skip


def row(check: Check, subject: str, value: Any) -> dict[str, Any]:
    return {**check.where, check.column: value, check.subject: check.where.get(check.subject, subject)}


def values(check: Check) -> tuple[Any, Any]:
    return VALUES[check.column]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check_fires_and_keeps_quiet(check: Check) -> None:
    subjects = check.expected or ("2025-10-03",)
    passes, fails = values(check)
    assert {one.status for one in judge(check, [row(check, name, passes) for name in subjects])} == {"pass"}
    for value in (fails, None):
        (first, *rest) = judge(
            check, [row(check, name, value if n == 0 else passes) for n, name in enumerate(subjects)]
        )
        assert first.status == "fail"
        assert first.observation().firing is True
        assert {one.status for one in rest} <= {"pass"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_empty_view_fires(check: Check) -> None:
    outcomes = judge(check, [])
    assert outcomes
    assert {outcome.status for outcome in outcomes} == {"fail"}
    assert all("no row in" in outcome.actual for outcome in outcomes)


def test_unreadable_view_neither_fires_nor_resolves() -> None:
    assert {one.observation().firing for one in unmade(CHECKS[0], "down")} == {None}


def test_names_are_unique_and_unknown_keys_are_refused() -> None:
    one = CHECKS[0].model_dump()
    with pytest.raises(ValidationError, match="Two checks are called"):
        Checks.model_validate({"checks": [one, one]})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Check.model_validate(one | {"treshold": 3})
    with pytest.raises(ValidationError, match="pattern"):
        Check.model_validate(one | {"view": "x; DROP TABLE y"})


def test_every_view_is_created_with_the_columns_that_are_judged() -> None:
    schema = REPOSITORY / "include" / "sql" / "bigquery" / "schema"
    text = "\n".join(path.read_text(encoding="utf-8") for path in schema.glob("R__3*.sql"))
    for view, columns in load_checks().views().items():
        body = text.split(f".{view}`", 1)[1].split(";", 1)[0]
        for column in columns:
            assert re.search(rf"\b{column}\b", body), f"{view} has no column {column}"


def test_no_alert_explains_itself_in_a_circle() -> None:
    causes = {check.name: {re.split(":", pattern)[1] for pattern in check.explained_by if pattern.startswith("check:")}
              for check in CHECKS}  # fmt: skip

    def reaches(name: str, seen: tuple[str, ...] = ()) -> bool:
        return any(cause in (*seen, name) or reaches(cause, (*seen, name)) for cause in causes.get(name, ()))

    assert set().union(*causes.values()) <= set(causes), "an explanation names a check that does not exist"
    assert not [name for name in causes if reaches(name)]
    assert not any(key.startswith("check:") for key in load_alert_config().explanations)


#: Tasks that bring draws, or the features, where the check looks; of others a failure delays nothing.
COLLECT, SYNC, VERIFY = "task:draw_collect.collect", "task:draw_sync.sync", "task:draw_sync.verify"


def test_a_check_is_explained_by_what_delays_it_only() -> None:
    """A pattern of tasks would hide an alert behind failures that have nothing to do with it."""
    explained = {
        check.name: {pattern for pattern in check.explained_by if not pattern.startswith("check:")}
        for check in load_checks().checks
    }
    assert {name: causes for name, causes in explained.items() if causes} == {
        "draws_are_collected_in_time": {COLLECT},
        "draws_are_synced_in_time": {COLLECT, SYNC},
        "features_are_refreshed_in_time": {COLLECT, SYNC, "task:feature_refresh.refresh"},
        "sync_intervals_succeed": {SYNC, VERIFY},
        "sync_ran_lately": {SYNC},
    }
    assert set(load_alert_config().explained_by("task:draw_news.sync")) >= {SYNC, VERIFY}
    for key, causes in load_alert_config().explanations.items():
        tasks = [cause for cause in causes if cause.startswith("task:") and "*" in cause]
        # The deadline of a whole run is missed for a failure of any of its tasks.
        assert tasks == ([f"task:{key.removeprefix('sla:')}.*"] if tasks else []), key


def test_a_job_is_explained_by_the_identity_of_its_own_service() -> None:
    check = next(check for check in load_checks().checks if check.name == "scheduler_jobs_succeed")
    (overdue,) = [
        outcome for outcome in judge(check, [{"job_name": "data-sync-job", "success_overdue": True, "is_latest": True}])
        if outcome.subject == "data-sync-job"
    ]  # fmt: skip
    assert overdue.observation().explained_by == ("check:identities_pass:data-sync-service",)


@pytest.mark.parametrize(
    "view", ["R__340_scheduler_execution_v", "R__350_cloudrun_invocation_v", "R__370_identity_status_v"]
)
def test_expected_services_of_views_are_those_of_the_configuration(view: str) -> None:
    text = render(f"bigquery/schema/{view}.sql")
    services = load_services().services
    if "scheduler" in view:
        found = re.findall(r"STRUCT\('([a-z-]+)' AS job_name, (\d+) AS max_silence_minutes\)", text)
        assert found == [(one.job, str(one.max_silence_minutes)) for one in services]
    else:
        assert re.findall(r"STRUCT\('([a-z-]+)' AS service_name\)", text) == [one.name for one in services]


def test_expected_subjects_of_checks_are_those_of_the_configuration() -> None:
    services = load_services().services
    checks = {check.name: check for check in CHECKS}
    names = tuple(one.name for one in services)
    assert checks["identities_pass"].expected == names
    assert checks["services_answer_without_errors"].expected == names
    assert checks["scheduler_jobs_succeed"].expected == tuple(one.job for one in services)


# --- runbooks and docs ------------------------------------------------------------------------------------------------


def pages(language: str) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (RUNBOOKS / language).glob("*.md")}


def test_every_alert_has_a_page_in_both_languages() -> None:
    needed = {check.runbook for check in CHECKS} | {kind.runbook for kind in load_alert_config().kinds.values()}
    for language in ("zh", "en"):
        assert needed <= set(pages(language)), language


def test_languages_are_in_step() -> None:
    chinese, english = pages("zh"), pages("en")
    assert set(chinese) == set(english)
    for name, text in chinese.items():
        other = english[name]
        assert text.count("\n## ") == other.count("\n## "), name
        assert set(re.findall(r"`[^`]+`", text)) == set(re.findall(r"`[^`]+`", other)), f"{name}: names in code differ"
        assert f"../en/{name}.md" in text
        assert f"../zh/{name}.md" in other


def test_alert_pages_have_all_six_sections() -> None:
    for name in {check.runbook for check in CHECKS}:
        assert pages("zh")[name].count("\n## ") == 6, name


QUERY = re.compile(r"`((?:SELECT|WITH) [^`]+)`")


def test_queries_of_pages_can_be_run_as_they_stand() -> None:
    found = {query for language in ("zh", "en") for text in pages(language).values() for query in QUERY.findall(text)}
    assert len(found) >= 10
    for query in sorted(found):
        assert "…" not in query, query
        sqlglot.parse_one(query, read="bigquery" if re.search(r"pc28|drawsguard\.", query) else "mysql")


def test_nobody_on_call_is_told_to_call_whoever_is_on_call() -> None:
    assert [name for name, text in pages("en").items() if "the person on call at once" in text] == []
    for name in {check.runbook for check in CHECKS}:
        assert "You are the person on call" in pages("en")[name], name


def test_links_of_pages_lead_somewhere() -> None:
    for language in ("zh", "en"):
        for name, text in pages(language).items():
            for target in re.findall(r"\]\(([^)]+)\)", text):
                assert (RUNBOOKS / language / target).resolve().exists(), f"{language}/{name}: {target}"


def test_metrics_page_is_generated_from_the_checks() -> None:
    assert METRICS_FILE.read_text(encoding="utf-8") == metrics_page(), (
        f"{CHECKS_FILE.name} changed: run `python -m drawsguard.monitoring.metrics_doc` with plugins/ on the path"
    )


def test_p1_is_announced_within_15_minutes_and_p0_at_once() -> None:
    config = load_alert_config()
    assert config.p1_delay_minutes < 15
    assert config.priority_of_task(["draws", "tier:0"]) is Priority.P0
    assert config.priority_of_task(["draws"]) is Priority.P1
