"""What every DAG of the repository owes its operators, as plain functions: each returns what it finds wrong."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from jsonschema import Draft202012Validator, FormatChecker

from drawsguard.alerts.config import load_alert_config
from drawsguard.settings import REPOSITORY
from notifiers.first_failure import first_failure_mail
from notifiers.sla_signal import report_delivery
from notifiers.task_defaults import REFUSALS_ARE_FINAL as FINAL
from notifiers.task_signal import report_failure, report_success

#: As Airflow checks the format of a param.
DATES = FormatChecker()

DagRule = Callable[[DAG], list[str]]

DOMAINS = frozenset({"draws", "points", "operations"})

DAG_FILES = sorted((REPOSITORY / "dags").rglob("*.py"))

#: Parsing all files may take this much beyond the import of Airflow and its providers (seconds of processor time).
PARSE_SECONDS = 2.0


def documents_itself(dag: DAG) -> list[str]:
    """doc_md exists, its first line says what a failure means, and it says who runs it."""
    text = (dag.doc_md or "").strip()
    first = text.splitlines()[0].lower() if text else ""
    found = [] if "fail" in first else ["the first line of doc_md does not say what a failure means"]
    return found + ([] if "who runs it" in text.lower() else ["doc_md does not say who runs it"])


def has_owner(dag: DAG) -> list[str]:
    """Every task names a team."""
    return [f"{task.task_id} has no owner" for task in dag.tasks if task.owner in ("", "airflow")]


def has_tier_and_domain(dag: DAG) -> list[str]:
    """Tags: exactly one tier, and at least one domain."""
    tiers = [tag for tag in dag.tags if tag.startswith("tier:")]
    found = [] if len(tiers) == 1 and tiers[0][5:].isdigit() else [f"needs one tag tier:<number>, has {tiers}"]
    return found + ([] if dag.tags & DOMAINS else [f"needs one of the tags {sorted(DOMAINS)}"])


def retries_with_backoff(dag: DAG) -> list[str]:
    """Tasks retry with exponential backoff and a cap. A task that asks for no retries by name (0) made a decision."""
    found = []
    for task in dag.tasks:
        if "retries" not in dag.default_args:
            found.append(f"{task.task_id}: default_args has no retries")
        if task.retries and (
            not isinstance(task.retry_exponential_backoff, float) or task.retry_exponential_backoff <= 1
        ):
            found.append(f"{task.task_id}: retry_exponential_backoff must be a float above 1")
        if task.retries and task.max_retry_delay is None:
            found.append(f"{task.task_id}: no max_retry_delay")
    return found


def never_retries_a_refusal(dag: DAG) -> list[str]:
    """What was refused would be refused again, and the person who asked would learn it minutes later."""
    return [f"{t.task_id} retries a refusal" for t in dag.tasks if getattr(t, "retry_policy", None) is not FINAL]


def _callbacks(given: Any) -> Sequence[Any]:
    return given if isinstance(given, (list, tuple)) else [given] if given else []


def has_one_alert_route(dag: DAG) -> list[str]:
    """A final failure of any task is reported once: one way on the task, none on the DAG; success ends its alert."""
    found = []
    for task in dag.tasks:
        routes = [one for one in _callbacks(task.on_failure_callback) if one in (report_failure, first_failure_mail)]
        if len(routes) != 1:
            found.append(f"{task.task_id} reports a failure in {len(routes)} ways")
        if report_failure in routes and report_success not in _callbacks(task.on_success_callback):
            found.append(f"{task.task_id}: no success ends the alert of its failure")
    return found + (["the DAG has a failure callback too: messages double"] if dag.on_failure_callback else [])


def ends_the_alert_of_its_deadline(dag: DAG) -> list[str]:
    """A missed deadline is an alert of the tier's priority; the task that delivers ends it."""
    found = []
    for deadline in _callbacks(dag.deadline):
        if not deadline.callback.path.endswith("SlaMissAlert"):
            continue
        delivering = dag.task_dict.get(deadline.callback.kwargs["delivered_by"])
        if delivering is None or report_delivery not in _callbacks(delivering.on_success_callback):
            found.append(f"{deadline.name}: no task ends the alert of its miss")
        if (priority := load_alert_config().priority_of_task(dag.tags)) != deadline.callback.kwargs["priority"]:
            found.append(f"{deadline.name}: the priority of tier {dag.tags} is {priority}")
    return found


def runs_one_at_a_time(dag: DAG) -> list[str]:
    """One run, no catch-up by itself."""
    found = [] if dag.max_active_runs == 1 else [f"max_active_runs is {dag.max_active_runs}"]
    return found + (["catchup is on"] if dag.catchup else [])


def describes_params(dag: DAG) -> list[str]:
    """A param has a type and says what it is for."""
    found = []
    for name in dag.params:
        param = dag.params.get_param(name)
        if not {"type", "enum"} & param.schema.keys():
            found.append(f"param {name} has no type")
        if not param.description:
            found.append(f"param {name} has no description")
    return found


#: What no text of a person may hold, and more of it than anybody types.
_NO_TEXT = ("nul \0", "escape \x1b[2J", "\x85", "long " * 2_000)


def bounds_text(dag: DAG) -> list[str]:
    """Text is refused when the run is triggered if it is longer than its use, or holds what cannot be stored or shown.

    A NUL would end a task before its operator can say anything.
    """
    found = []
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        for part in (schema, schema.get("items", {})):
            kinds = part.get("type", ())
            if "string" not in ([kinds] if isinstance(kinds, str) else kinds):
                continue
            taken = [text for text in _NO_TEXT if Draft202012Validator(part, format_checker=DATES).is_valid(text)]
            found += [f"param {name} takes {text[:20]!r}" for text in taken]
    return found


def builds_mapped_tasks(dag: DAG) -> list[str]:
    """Each mapped task can be built when it runs: an operator that sets an argument of its base class cannot."""
    found = []
    for task in dag.tasks:
        if not isinstance(task, MappedOperator):
            continue
        try:
            task.unmap(dict.fromkeys(getattr(task.expand_input, "value", ())))
        except Exception as error:  # noqa: BLE001 - whatever an operator raises, its task would
            found.append(f"{task.task_id}: {error}")
    return found


DAG_RULES: tuple[DagRule, ...] = (
    documents_itself,
    has_owner,
    has_tier_and_domain,
    retries_with_backoff,
    never_retries_a_refusal,
    has_one_alert_route,
    ends_the_alert_of_its_deadline,
    runs_one_at_a_time,
    describes_params,
    bounds_text,
    builds_mapped_tasks,
)


def deadline_matches(dag: DAG, *, has_sla: bool) -> list[str]:
    """A DAG has a deadline exactly when it has a service level."""
    return [] if bool(dag.deadline) == has_sla else [f"deadline is {dag.deadline}, service level is {has_sla}"]


def reads_no_clock(path: Path) -> list[str]:
    """A DAG file asks for no time: what it builds must not depend on when it is parsed."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return [f"{path.name} calls {name}()" for name in sorted(names & {"now", "utcnow", "today", "time"})]


def probe(files: list[Path]) -> dict[str, Any]:
    """Parse files in a fresh process that watches for I/O; return {"seconds", "touched", "imported"}."""
    command = [sys.executable, str(Path(__file__).parent / "parse_probe.py"), *map(str, files)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def does_no_io(files: list[Path]) -> list[str]:
    """Importing a DAG file opens no connection, database or process and reads no Variable or Connection."""
    return probe(files)["touched"]
