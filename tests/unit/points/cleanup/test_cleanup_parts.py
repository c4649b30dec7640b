"""The small parts: pace, progress, the commands for the DBA, sheets, and the lifetime report."""

from __future__ import annotations

import subprocess
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from drawsguard.points.cleanup.commands import cleanup_command
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.estimate import Estimate
from drawsguard.points.cleanup.lifetime import LifetimeReport, first_of_each, lifetime_point
from drawsguard.points.cleanup.lifetime_workbook import write_lifetime
from drawsguard.points.cleanup.living import collect_living
from drawsguard.points.cleanup.progress import Estimator, scanned_fraction
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.throttle import MAX_SLOWDOWN, Throttle
from drawsguard.points.definitions import Definition
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.review.usage import UNUSED, Usage
from drawsguard.points.sheets import add_table, sheet_name

CLASSES = get_config().variable_classes


# --- pace and progress --------------------------------------------------------------------------------
class Clock:
    def __init__(self):
        self.now = 0.0
        self.slept = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds


def test_throttle_keeps_the_rate_and_does_not_catch_up_lost_time():
    clock = Clock()
    throttle = Throttle(1000, 100, 5, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        throttle.spend(examined=100, deleted=10)
    assert clock.now == pytest.approx(10 * (0.1 + 0.1))
    clock.now += 60
    slept = clock.slept
    for _ in range(10):
        throttle.spend(examined=100)
    assert clock.slept - slept == pytest.approx(0.9)  # the first step was paid for by the lost minute, no more


def test_throttle_slows_down_while_the_server_is_slow_and_recovers():
    clock = Clock()
    throttle = Throttle(1000, 1000, 5, clock=clock, sleep=clock.sleep)
    throttle.observe(0.006)
    assert throttle.slowdown == 2
    for _ in range(20):
        throttle.observe(1)
    assert throttle.slowdown == MAX_SLOWDOWN
    throttle.spend(examined=10)
    assert clock.now == pytest.approx(0.01 * MAX_SLOWDOWN)
    for _ in range(100):
        throttle.observe(0.001)
    assert throttle.slowdown == 1


@given(st.integers(1, 40), st.data())
def test_scanned_fraction_is_the_position_in_redis_reversed_binary_order(bits, data):
    step = data.draw(st.integers(0, 2**bits - 1))
    cursor = int(f"{step:0{bits}b}"[::-1], 2)  # the cursor of Redis after ``step`` of 2**bits buckets
    assert scanned_fraction(cursor) == pytest.approx(step / 2**bits)


def test_estimate_of_the_time_left_counts_this_runs_own_pace():
    clock = Clock()
    estimator = Estimator(clock)
    estimator.expect("a", 300)
    estimator.expect("b", 100)
    assert estimator.seconds_left is None
    estimator.advance("a", 0.5)  # where an earlier run stopped
    clock.now = 10
    estimator.advance("a", 1.0)
    assert estimator.fraction == pytest.approx(0.75)
    assert estimator.seconds_left == pytest.approx(10 * 0.25 / 0.375)


# --- commands -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", [None, "f", "d:{day}"])
@pytest.mark.parametrize("key", ["it's:{user}:$x", "exact 'key'"])
def test_command_is_valid_bash_and_runs_on_every_instance(key, field):
    structure = Structure(7, "c", "hash" if field else "string", key, field)
    command = cleanup_command(read_structure(structure, CLASSES), ("evt-001-redis", "evt-004-redis"))
    subprocess.run(["bash", "-n", "-c", command], check=True)
    assert "for host in evt-001-redis evt-004-redis; do " in command
    assert "\n" not in command  # one cell, one line


def test_command_of_an_unreachable_instance_fails():
    command = cleanup_command(
        read_structure(Structure(7, "c", "string", "k:{user}", None), CLASSES), ("nowhere.invalid", "also.invalid")
    )
    ended = subprocess.run(["bash", "-c", command], check=False, capture_output=True)
    assert ended.returncode != 0


# --- living points ----------------------------------------------------------------------------------------
def test_living_points_are_asked_for_once_and_what_is_unknown_is_named():
    asked = []

    def ask(eid):
        asked.append(eid)
        answers = {1: Structure(1, "a", "string", "k:{user}", None), 3: Structure(3, "a", "string", "k:{", None)}
        return answers.get(eid)

    living = collect_living([(1, "a"), (2, "a"), (1, "a"), (3, "b"), (2, "c")], ask, CLASSES)
    assert asked == [1, 2, 3]
    assert [structure.eid for structure in living.structures] == [1]
    assert living.unknown == {"a": [2], "c": [2], "b": [3]}
    assert living.eids == {1, 2, 3}


# --- sheets ------------------------------------------------------------------------------------------------
def test_text_never_becomes_a_formula_or_breaks_the_file(tmp_path):
    workbook = Workbook(write_only=True)
    values = ["=1+1", "#REF!", "a\x00b", "line\nbreak", "+x", 5, None]
    add_table(workbook, "a/b:c*[long]" * 5, [["note"], []], [("h", 5)] * len(values), [values])
    workbook.save(tmp_path / "t.xlsx")
    (sheet,) = load_workbook(tmp_path / "t.xlsx").worksheets
    assert [cell.value for cell in sheet[4]] == ["=1+1", "#REF!", "ab", "line break", "+x", 5, None]
    assert {cell.data_type for cell in sheet[4]} == {"s", "n"}
    assert sheet.freeze_panes == "A4"
    assert sheet_name("[x]:*?/\\" + "y" * 40) == "-x------" + "y" * 23


# --- lifetime ----------------------------------------------------------------------------------------------
TODAY = date(2024, 9, 1)


def definition(eid, people="ann", cluster="redis_mq", created=datetime(2024, 1, 1)):  # noqa: DTZ001 - naive as stored
    return Definition("define_nosdata_general", eid, 1, people, "", "", "", "normal", cluster, "", None, created)


def test_idle_counts_from_the_last_use_of_any_kind_and_else_from_the_creation():
    used = Usage(1, datetime(2024, 3, 1), datetime(2024, 8, 31), 0, None, None)  # noqa: DTZ001 - naive as stored
    assert lifetime_point(definition(1), used, None, TODAY).idle_days == 1
    assert lifetime_point(definition(1), UNUSED, None, TODAY).idle_days == 244
    assert lifetime_point(definition(1, created=None), UNUSED, None, TODAY).idle_days is None


@pytest.mark.parametrize(
    ("estimate", "has_lifetime"),
    [(None, None), (Estimate(0, 0, 0, 0), None), (Estimate(9, 9, 3, 0), True), (Estimate(9, 9, 3, 1), False)],
)
def test_lifetime_is_what_the_sampled_keys_have(estimate, has_lifetime):
    assert lifetime_point(definition(1), UNUSED, estimate, TODAY).has_lifetime is has_lifetime


def test_report_counts_by_cluster_and_month_and_has_charts(tmp_path):
    rows = [
        definition(1, people=" "),
        definition(2, created=datetime(2024, 8, 20)),  # noqa: DTZ001 - naive as stored
        definition(3, cluster="redis_flag", created=None),
        definition(2, created=datetime(2023, 5, 1)),  # noqa: DTZ001 - naive as stored
    ]
    estimates = {1: Estimate(5, 5, 5, 5), 2: Estimate(5, 5, 5, 0)}
    points = [lifetime_point(row, UNUSED, estimates.get(row.point_id), TODAY) for row in first_of_each(rows)]
    report = LifetimeReport(points, (90, 180, 365))
    assert report.by("cluster") == [("redis_mq", 2, 1, 1, 0, (2, 2, 1)), ("redis_flag", 1, 0, 0, 1, (0, 0, 0))]
    growth = report.growth()
    assert growth[:2] == [("(未知 unknown)", 1, 1), ("2023-05", 1, 2)]
    assert growth[2:9] == [(month, 0, 2) for month in map("2023-{:02d}".format, range(6, 13))]
    assert growth[9:] == [("2024-01", 1, 3)]
    assert report.created_until("2024-09") == [
        *((month, 0) for month in ("2023-10", "2023-11", "2023-12")), ("2024-01", 1),
        *((f"2024-{month:02d}", 0) for month in range(2, 10)),
    ]  # fmt: skip
    assert [report.created_until("2024-12")[place][0] for place in (0, -1)] == ["2024-01", "2024-12"]
    assert report.idle() == {90: 2, 180: 2, 365: 1}
    write_lifetime(tmp_path / "l.xlsx", "2024-09", report)
    workbook = load_workbook(tmp_path / "l.xlsx")
    assert workbook.sheetnames == [
        "集群 clusters",
        "负责人 owners",
        "增长 growth",
        "无负责人 no owner",
        "无生命周期 no lifetime",
    ]
    assert [len(sheet._charts) for sheet in workbook] == [1, 1, 1, 0, 0]


def test_failed_ticket_fails_the_run_although_the_report_follows():
    from dags.points.points_cleanup import clean, dag, report

    # Airflow takes a run's state from the tasks without a downstream task; a teardown counts only when it says so.
    assert report.is_teardown
    assert not report.on_failure_fail_dagrun
    assert clean.downstream_task_ids == {"report"}
    # A batch without tickets fails the run, and keeps no other from its cleanup.
    made = dag.get_task("every_batch_has_tickets")
    assert made.upstream_task_ids == {"write_tickets"}
    assert not made.downstream_task_ids
    assert clean.upstream_task_ids == {"write_tickets"}
