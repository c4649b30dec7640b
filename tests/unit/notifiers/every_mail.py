"""Every mail and report with sample values, for tests to render; each name in them may be hostile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.message import Text, compose, compose_bundle, compose_digest
from drawsguard.alerts.state import Alert, Message, Status
from drawsguard.draws.repair.gaps import Gap
from drawsguard.draws.repair.repairer import Repair
from drawsguard.mail import Mail, mail_of, subject_line
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.inspection import (
    TITLES,
    advice_section,
    completeness_section,
    false_alarm_section,
    latency_section,
    scheduler_section,
    success_section,
)
from drawsguard.monitoring.observation import Priority
from drawsguard.points.cleanup.lifetime import LifetimePoint, LifetimeReport
from drawsguard.points.cleanup.result import OUTCOMES, STATES
from drawsguard.points.cleanup.ticket_workbook import EXECUTORS
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.review.classify import PointClass
from drawsguard.settings import get_settings
from drawsguard.templates import render_template

NOW = datetime(2025, 10, 3, 10, 0, tzinfo=UTC)
NAIVE = NOW.replace(tzinfo=None)
RUN_URL = "http://localhost:8080/dags/d/runs/manual__1"
RUN: dict[str, Any] = {"run_id": "scheduled__1", "map_index": -1, "url": RUN_URL}


def alert_text(
    message: Message, name: str, key: str = "check:identities_pass:", *, resolved: bool = False, by_hand: bool = False,
    unheard: bool = False,
) -> Text:  # fmt: skip
    """Return what is sent about an alert of ``key`` and ``name``, 65 minutes old."""
    alert = Alert(
        "id",
        f"{key}{name}",
        Priority.P0,
        Status.RESOLVED if resolved else Status.FIRED,
        NOW - timedelta(minutes=65),
        f"{name}\nsecond line. 日志 Log: {RUN_URL}/tasks/verify",
        notified_at=NOW - timedelta(minutes=65),
        reminders=1 if message is Message.ESCALATION else 0,
        resolved_at=NOW if resolved else None,
        acknowledged_by=name if resolved else None,
        unheard=unheard,
        resolved_by=name if by_hand else None,
        resolved_because=f"{name}\nsecond line" if by_hand else "",
    )
    return compose(message, alert, load_checks(), load_alert_config(), get_settings(), NOW)


def _mail_of(text: Text) -> Mail:
    return Mail(subject_line(text.title), text.html)


def _digest(name: str) -> Mail:
    open_one = Alert("a", f"check:x:{name}", Priority.P2, Status.FIRED, NOW, name)
    closed = Alert("b", "check:y:z", Priority.P1, Status.RESOLVED, NOW - timedelta(hours=2), "d", resolved_at=NOW)
    return _mail_of(compose_digest([open_one, closed], get_settings(), NOW))


def _task_failure(name: str) -> Mail:
    return mail_of(
        "mail/task_failure", dag_id="draw_sync", task_id=name, run_type="scheduled", try_number=4, priority="P0",
        interval_start=NOW - timedelta(minutes=5), interval_end=NOW, error=f"ValueError: {name}\nline 2",
        meaning=f"A failure means {name}.", failed_at=NOW, **RUN,
    )  # fmt: skip


def _sla_miss(name: str) -> Mail:
    return mail_of(
        "mail/sla_miss", dag_id=name, state="running", interval_start=NOW - timedelta(minutes=5), interval_end=NOW,
        deadline=NOW + timedelta(minutes=4), allowed_seconds=240, late_seconds=3900, look_at=[["看日志", name]],
        priority="P0", **RUN,
    )  # fmt: skip


def _refused(name: str) -> Mail:
    return mail_of(
        "mail/refused_request", dag_id="points_downline", task_id="plan", person=name, reason=f"{name}\nrow 7",
        params={"workbook": name}, runbook="https://docs.example/runbooks/zh/request-refused.md", **RUN,
    )  # fmt: skip


def incident(name: str, *, repaired: int = 1200, left: int = 34) -> Mail:
    """Return the incident mail for these numbers of draws."""
    repair = Repair(
        gaps=[Gap(1, 3, "not_synced", NOW - timedelta(hours=2), NOW)],
        detected_at=NOW, finished_at=NOW + timedelta(seconds=75),
        repaired=list(range(repaired)), open=list(range(left)),
    )  # fmt: skip
    values = {
        "incident_id": "i", "run_url": RUN_URL, "settings": get_settings(), "start": NOW - timedelta(hours=2),
        "end": NOW, "repair": repair, "left": left, "absent": left, "span": range(1, 4),
        "failures": [{"failed_at": NOW, "what": name, "error": name}],
        "gaps": [{"first_period": 1, "last_period": 3, "draws": 3, "cause": "not_synced", "from": NOW, "to": NOW}],
        "verification": {
            "source_draws": 12345, "target_draws": 12345, "duplicates": 0, "missing_periods": 0, "newest_draw": NOW,
        },
    }  # fmt: skip
    return mail_of("mail/incident", **values, report=render_template("repair/incident.md", **values))


def _points(name: str, path: str, **values: Any) -> Mail:
    batch = SimpleNamespace(
        batch_id=name, window_start=date(2025, 4, 1), window_end=date(2025, 9, 27), digest="d" * 64,
        observe_until=NAIVE,
    )  # fmt: skip
    return mail_of(f"points/{path}", team="team@example.com", batch=batch, batch_id=name, run_url=RUN_URL, **values)


def _lifetime(name: str) -> Mail:
    point = LifetimePoint(7, name, "", "2024-07", 400, False)
    return _points(
        name, "cleanup/lifetime", month="2025-10", environment="intranet", unread=[name],
        report=LifetimeReport([point] * 12_345, (30, 180)),
    )  # fmt: skip


def _owner_list(name: str) -> Mail:
    cells = [1234567, *[name] * 15, "2025-10-03 10:00:00", ""]
    row = SimpleNamespace(cells=cells, point_class=PointClass.UNUSED)
    return _points(name, "review/owner_list", owner=name, rows=[row] * 3)


def _usage_report(name: str) -> Mail:
    counts = {name: Counter({PointClass.UNUSED: 1200, PointClass.READ_ONLY: 3})}
    minutes = {date(2025, 4, 1) + timedelta(days=day): 1440 for day in range(180)} | {date(2025, 6, 3): 1200}
    return _points(
        name, "review/usage_report", total=1203, ownerless=7, clusters=counts, tables=counts, minutes=minutes,
        least_minutes=1430,
    )  # fmt: skip


def use_after_downline(name: str, points: int = 300) -> Mail:
    """Return the mail about ``points`` points that are used after their downline, in both environments."""
    ids = list(range(1, points + 1))
    requests = [
        {"batch_id": name, "environment": environment, "ids": ids, "dry_run": False}
        for environment in ("intranet", "extranet")
    ]
    return _points(
        name, "downline/use_after_downline", points=ids, withdrawn=[name], done=[name], deleted=12345, unconfirmed=6,
        restores=requests, restore_url="http://ui/dags/points_restore",
        signs=[Sign("use", number, name, NAIVE, 12345) for number in ids],
    )  # fmt: skip


def _downline_report(name: str) -> Mail:
    counts = {"points": {"total": 1234, "by_cluster": {name: 1234}, "by_table": {}}}
    report = SimpleNamespace(
        batch=SimpleNamespace(batch_id=name, observe_until=NAIVE), removed=[1],
        counts={"intranet": counts, "extranet": counts}, differences={"intranet": [1], "extranet": []},
    )  # fmt: skip
    return _points(name, "downline/downline_report", report=report)


def _notice(name: str) -> Mail:
    notice = SimpleNamespace(points=(1234567, 8), days_before=7, owner=name)
    return _points(name, "cleanup/notice", notice=notice, until=NAIVE)


def _result(name: str) -> Mail:
    cluster = SimpleNamespace(
        cluster=name, points=1, own=1, dba=0, without_ticket=0, found=12345, deleted=12344, left=1
    )
    ticket = SimpleNamespace(ticket_id=name, state="withdrawn", points=12345)
    result = SimpleNamespace(
        batch_id=name, deleted=12344, left=1, unconfirmed=1234, cleaned=1, clusters=[cluster], outcome="left",
        points=[SimpleNamespace(ticket_id=None)], unfinished=[ticket], given_up={1}, split={1, 2345},
    )  # fmt: skip
    return _points(name, "cleanup/result", result=result, states=STATES, outcomes=OUTCOMES)


def _tickets(name: str) -> Mail:
    tickets = [
        SimpleNamespace(ticket_id=name, executor=executor, state=state, points=12345, estimated_keys=None)
        for executor, state in (("own", "open"), ("dba", "withdrawn"), ("dba", "handed_over"))
    ]
    return _points(
        name, "cleanup/tickets", tickets=tickets, executors=EXECUTORS, states=STATES, unticketed=2,
        ahead=[], missing="2025-11-02 (900 min)", held=[(name, [7, 8])], again=True, until=date(2025, 11, 11),
    )  # fmt: skip


def _withdrawn(name: str) -> Mail:
    return _points(name, "cleanup/withdrawn", environment="intranet", points=list(range(300)), tickets=[name, name])


def inspection(name: str) -> Mail:
    """Return the report of a week in which something is wrong."""
    day = {"beijing_day": date(2025, 10, 1), "expected": 288, "succeeded": 200}
    sections = [
        success_section([day, day | {"succeeded": 288}]),
        latency_section({"draws": 12345, "p50": 40, "p95": 290, "p99": 600}, {NOW.date(): 290.0}),
        false_alarm_section(
            [{"check_name": name, "made": 1440, "failed": 3, "alerts": 20, "doubtful": 2}], {NOW.date(): 20}
        ),
        completeness_section([{
            "beijing_day": date(2025, 10, 1), "expected": 401, "missing_periods": 3, "completeness_pct": 99.25,
        }]),
        scheduler_section([{"job_name": name, "outcome": "success", "attempt_ts": NOW, "success_overdue": True}]),
    ]  # fmt: skip
    sections.append(advice_section(sections))
    page = render_template(
        "reports/inspection.html", title=TITLES["weekly"], start=NOW - timedelta(days=7), end=NOW, sections=sections,
        runbook="https://docs.example/runbooks/zh/inspections.md", ui="http://localhost:8080",
    )  # fmt: skip
    return Mail(subject_line(TITLES["weekly"]), page)


def _preflight(name: str) -> Mail:
    row = {"part": "SMTP", "name": "c", "title": name, "status": "fail", "found": name, "advice": "do it"}
    page = render_template(
        "reports/preflight.html", ready=False, verdict="not ready", made_at="2025-10-03 18:00 北京时间", where=name,
        document="https://docs.example/runbooks/preflight.md", rows=[row], checks=1, passed=0, failed=1, warned=0,
    )  # fmt: skip
    return Mail(subject_line("上线检查 Preflight"), page)


#: By template: the mail in which every name is ``name``.
MAILS: Mapping[str, Callable[[str], Mail]] = {
    "alerts/firing": lambda name: _mail_of(alert_text(Message.FIRING, name)),
    "alerts/firing (escalation)": lambda name: _mail_of(alert_text(Message.ESCALATION, name, "task:")),
    "alerts/recovery": lambda name: _mail_of(alert_text(Message.RECOVERY, name, resolved=True)),
    "alerts/recovery (unheard)": lambda name: _mail_of(alert_text(Message.RECOVERY, name, resolved=True, unheard=True)),
    "alerts/recovery (by hand)": lambda name: _mail_of(
        alert_text(Message.RECOVERY, name, "task:", resolved=True, by_hand=True)
    ),
    "alerts/bundle": lambda name: _mail_of(compose_bundle([alert_text(Message.FIRING, name)] * 6)),
    "alerts/digest": _digest,
    "mail/task_failure": _task_failure,
    "mail/sla_miss": _sla_miss,
    "mail/refused_request": _refused,
    "mail/incident": incident,
    "points/cleanup/lifetime": _lifetime,
    "points/cleanup/notice": _notice,
    "points/cleanup/result": _result,
    "points/cleanup/tickets": _tickets,
    "points/cleanup/withdrawn": _withdrawn,
    "points/downline/downline_report": _downline_report,
    "points/downline/use_after_downline": use_after_downline,
    "points/review/owner_list": _owner_list,
    "points/review/usage_report": _usage_report,
    "reports/inspection": inspection,
    "reports/preflight": _preflight,
}
