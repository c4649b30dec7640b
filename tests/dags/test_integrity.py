"""Every DAG loads, and owes its operators what the policy says; every guard is shown to fire."""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, DeadlineAlert, DeadlineReference, Param
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from dag_params.text import SEVERAL_LINES, batch_param, text_param
from drawsguard.alerts.config import load_alert_config
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.observation import Priority
from hooks.asset_memory import DRAWS
from notifiers.first_failure import first_failure_mail
from notifiers.sla_signal import SlaMissAlert, report_delivery
from notifiers.task_defaults import REFUSALS_ARE_FINAL
from notifiers.task_signal import report_failure, report_success
from tests.dags import policy
from tests.dags.expected import DAGS
from tests.dags.policy import DagRule


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(policy.REPOSITORY / "dags"))


def test_every_file_loads(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_exactly_the_expected_dags_exist(bag: DagBag) -> None:
    assert set(bag.dag_ids) == set(DAGS)


@pytest.mark.parametrize("dag_id", DAGS)
def test_dag_keeps_the_policy(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    found = {rule.__name__: problems for rule in policy.DAG_RULES if (problems := rule(dag))}
    assert found == {}
    assert policy.deadline_matches(dag, has_sla=DAGS[dag_id]) == []


def test_the_digest_is_not_what_announces_its_own_failure(bag: DagBag) -> None:
    """P2 alerts are announced in the digest only."""
    assert load_alert_config().priority_of_task(bag.dags["alert_digest"].tags) < Priority.P2


def test_what_explains_an_alert_are_tasks_that_exist(bag: DagBag) -> None:
    tasks = [f"task:{dag.dag_id}.{task.task_id}" for dag in bag.dags.values() for task in dag.tasks]
    patterns = {pattern for check in load_checks().checks for pattern in check.explained_by}
    patterns |= {pattern for causes in load_alert_config().explanations.values() for pattern in causes}
    gone = {one for one in patterns if one.startswith("task:") and not fnmatch.filter(tasks, one)}
    assert gone == set()


def test_every_date_param_refuses_a_word(bag: DagBag) -> None:
    """Airflow ignores the format of a param when the library that knows it is missing."""
    params = [dag.params.get_param(name) for dag in bag.dags.values() for name in dag.params]
    dated = [param for param in params if "format" in param.schema]
    assert {param.schema["format"] for param in dated} >= {"date", "date-time"}
    for param in dated:
        with pytest.raises(ParamValidationError, match="yesterday"):
            param.resolve("yesterday")


@pytest.mark.parametrize(
    ("dag_id", "name", "value"),
    [
        ("points_downline", "workbook", "w" * 5_000),
        ("points_downline", "workbook", "done.xlsx\0"),
        ("points_downline", "workbook", "done.xlsx\n"),
        ("points_restore", "batch_id", "20240730\n"),
        ("points_restore", "batch_id", "b" * 41),
        ("points_usage_report", "batch_id", "\n"),
        ("points_ticket_done", "note", "done\x1b[2J"),
    ],
)
def test_text_that_no_task_could_take_is_refused_by_name_when_a_run_is_triggered(
    bag: DagBag, dag_id: str, name: str, value: str
) -> None:
    """Airflow's API answers these words (400), and no run begins."""
    dag = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[dag_id]))
    with pytest.raises(ParamValidationError, match=rf"(?s)Invalid input for param {name}: .*(too long|does not match)"):
        dag.params.deep_merge({"ticket_id": "20240730/redis_flag/exact"} | {name: value}).validate()


def test_what_people_type_is_taken() -> None:
    for param, values in (
        (text_param("W.", longest=255), ["审核-2024 (第二版).xlsx", "a b.xlsx", ""]),
        (text_param("R.", longest=1000, pattern=SEVERAL_LINES), ["第一行\r\n\tsecond line", "x\n"]),
        (batch_param("B.", default=None), [None, "20240730", "b-1_X"]),
    ):
        for value in values:
            assert param.resolve(value) == value


@pytest.mark.parametrize("minutes", [1, 30, 140])
def test_a_cleanup_that_is_unpaused_asks_nobody_before_its_next_mark(bag: DagBag, minutes: int) -> None:
    """By default Airflow starts the run of a mark that has passed by up to a tenth of the schedule: 2.4 hours."""
    mark = datetime(2026, 1, 15, 2, tzinfo=UTC)
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["points_cleanup"])).timetable
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    with time_machine.travel(mark + timedelta(minutes=minutes), tick=False):
        run = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert run.logical_date == mark + timedelta(days=1)


@pytest.mark.parametrize("path", policy.DAG_FILES, ids=lambda path: path.name)
def test_dag_file_reads_no_clock(path: Path) -> None:
    assert policy.reads_no_clock(path) == []


def test_parsing_does_no_io_and_is_quick() -> None:
    answer = policy.probe(policy.DAG_FILES)
    assert answer["touched"] == []
    # A processor that is shared, or a first compilation, doubles it once.
    seconds = answer["seconds"]
    assert seconds <= policy.PARSE_SECONDS or policy.probe(policy.DAG_FILES)["seconds"] <= policy.PARSE_SECONDS


# --- each guard fires ---------------------------------------------------------------------------------------
def good(**overrides: Any) -> dict[str, Any]:
    """Arguments of a DAG that keeps the policy."""
    return {
        "dag_id": "example",
        "schedule": None,
        "doc_md": "A failure means nothing.\n\n**Who runs it**: a test.",
        "tags": ["tier:3", "draws"],
        "max_active_runs": 1,
        "catchup": False,
        "default_args": {
            "owner": "team",
            "retries": 1,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=1),
            "retry_policy": REFUSALS_ARE_FINAL,
            "on_failure_callback": report_failure,
            "on_success_callback": report_success,
        },
        "params": {"range": text_param("What to do.", longest=10, default=None)},
    } | overrides


def example(**overrides: Any) -> DAG:
    with DAG(**good(**overrides)) as dag:  # noqa: AIR002 - the schedule is among the arguments
        EmptyOperator(task_id="only")
    return dag


def without(argument: str) -> dict[str, Any]:
    return {key: value for key, value in good()["default_args"].items() if key != argument}


def deadline(priority: str, delivered_by: str = "only") -> DeadlineAlert:
    of = {"to": "a@example.com", "look_at": [], "priority": priority, "delivered_by": delivered_by}
    callback = AsyncCallback(SlaMissAlert, kwargs=of)
    reference = DeadlineReference.DAGRUN_QUEUED_AT
    return DeadlineAlert(name="in_time", reference=reference, interval=timedelta(minutes=1), callback=callback)


#: Each task ends the alert of the deadline.
DELIVERING = good()["default_args"] | {"on_success_callback": [report_success, report_delivery]}


def test_a_good_dag_passes_every_rule() -> None:
    assert {rule.__name__: rule(example()) for rule in policy.DAG_RULES if rule(example())} == {}
    with_deadline = example(deadline=deadline("P2"), default_args=DELIVERING)
    assert policy.ends_the_alert_of_its_deadline(with_deadline) == []


BAD: list[tuple[DagRule, dict[str, Any]]] = [
    (policy.documents_itself, {"doc_md": None}),
    (policy.documents_itself, {"doc_md": "Copies draws.\n\n**Who runs it**: a test."}),
    (policy.documents_itself, {"doc_md": "A failure means nothing."}),
    (policy.has_owner, {"default_args": without("owner")}),
    (policy.has_tier_and_domain, {"tags": ["draws"]}),
    (policy.has_tier_and_domain, {"tags": ["tier:1", "tier:2", "draws"]}),
    (policy.has_tier_and_domain, {"tags": ["tier:1"]}),
    (policy.retries_with_backoff, {"default_args": without("retries")}),
    (policy.retries_with_backoff, {"default_args": good()["default_args"] | {"retry_exponential_backoff": True}}),
    (policy.retries_with_backoff, {"default_args": without("max_retry_delay")}),
    (policy.never_retries_a_refusal, {"default_args": without("retry_policy")}),
    (policy.has_one_alert_route, {"default_args": without("on_failure_callback")}),
    (policy.has_one_alert_route, {"default_args": without("on_success_callback")}),
    (
        policy.has_one_alert_route,
        {"default_args": good()["default_args"] | {"on_failure_callback": [report_failure, first_failure_mail]}},
    ),
    (policy.has_one_alert_route, {"on_failure_callback": print}),
    (policy.ends_the_alert_of_its_deadline, {"deadline": deadline("P2")}),
    (policy.ends_the_alert_of_its_deadline, {"deadline": deadline("P0"), "default_args": DELIVERING}),
    (policy.ends_the_alert_of_its_deadline, {"deadline": deadline("P2", "gone"), "default_args": DELIVERING}),
    (policy.runs_one_at_a_time, {"max_active_runs": 2}),
    (policy.runs_one_at_a_time, {"catchup": True}),
    (policy.describes_params, {"params": {"range": Param(None, type="null")}}),
    (policy.describes_params, {"params": {"range": "yesterday"}}),
    (policy.bounds_text, {"params": {"name": Param("", type="string", description="Any.", maxLength=9_999_999)}}),
    (policy.bounds_text, {"params": {"name": text_param("Long.", longest=10_000)}}),
    (policy.bounds_text, {"params": {"name": Param("", type="string", description="Any.", pattern="^[^\\0]*$")}}),
    (policy.bounds_text, {"params": {"names": Param([], type="array", items={"type": "string"}, description="Any.")}}),
]


@pytest.mark.parametrize(("rule", "overrides"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_rule_finds_its_fault(rule: DagRule, overrides: dict[str, Any]) -> None:
    assert rule(example(**overrides)) != []


class SetsItsInlets(EmptyOperator):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inlets=[], **kwargs)


def test_a_mapped_task_that_could_not_be_built_is_found() -> None:
    with DAG(**good()) as dag:  # noqa: AIR002 - the schedule is among the arguments
        SetsItsInlets.partial(task_id="mapped").expand(doc=["a", "b"])
    assert ["inlets" in problem for problem in policy.builds_mapped_tasks(dag)] == [True]


def test_every_rule_has_a_negative_case() -> None:
    assert {rule for rule, _ in BAD} | {policy.builds_mapped_tasks} == set(policy.DAG_RULES)


def test_a_missing_deadline_is_found() -> None:
    assert policy.deadline_matches(example(), has_sla=True) != []


def test_a_broken_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere\nfrom airflow.sdk import DAG\n")
    assert DagBag(str(tmp_path)).import_errors != {}


@pytest.mark.parametrize("call", ["datetime.now()", "pendulum.today()", "now()"])
def test_a_clock_is_found(tmp_path: Path, call: str) -> None:
    path = tmp_path / "clock.py"
    path.write_text(f"start = {call}\n")
    assert policy.reads_no_clock(path) != []


def test_io_at_import_is_found(tmp_path: Path) -> None:
    lines = {
        "connects": "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
        "opens_database": "import sqlite3; sqlite3.connect(':memory:')",
        "starts_process": "import subprocess; subprocess.run(['true'])",
        "reads_variable": "from airflow.sdk import Variable; Variable.get('a')",
        "reads_connection": "from airflow.sdk import Connection; Connection.get('a')",
    }
    for name, line in lines.items():
        (tmp_path / f"{name}.py").write_text(line)
    touched = policy.does_no_io(sorted(tmp_path.glob("*.py")))
    assert {name for name in lines if any(name in entry for entry in touched)} == set(lines)


def test_a_bulk_read_of_the_history_never_holds_up_polling(bag: DagBag) -> None:
    slots = {dag_id: {task.pool for task in bag.dags[dag_id].tasks} for dag_id in ("draw_collect", "draw_history")}
    assert slots["draw_collect"] == {"draws_source"}
    assert "draws_source" not in slots["draw_history"]
    assert "draws_history" in slots["draw_history"]


def test_a_read_of_the_history_remembers_what_the_polls_know(bag: DagBag) -> None:
    assert DRAWS in bag.dags["draw_history"].get_task("read").inlets


def test_whether_the_day_was_pushed_is_told_while_a_writer_holds_the_slot(bag: DagBag) -> None:
    pools = {task.task_id.split(".")[-1]: task.pool for task in bag.dags["points_push"].tasks}
    assert pools["pushed"] == "default_pool", "it reads the ledger, and a deadline waits for it"
    assert {pools[name] for name in ("push", "truncate", "consolidate")} == {"points_evidence"}


def test_whether_the_day_was_pushed_is_asked_where_every_flow_was_pushed_before(bag: DagBag) -> None:
    pushed = bag.dags["points_push"].get_task("pushed")
    # All flows are skipped then: the plan is the one success that the rule wants.
    assert pushed.trigger_rule == "none_failed_min_one_success"
    assert pushed.upstream_task_ids == {"plan", "push_flow.consolidate"}
