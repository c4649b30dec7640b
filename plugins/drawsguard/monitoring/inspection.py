"""The daily, weekly and monthly inspections: figures read from the stores, judged, drawn, and never invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from markupsafe import Markup

from drawsguard.charts import bars, columns
from drawsguard.links import runbook_link
from drawsguard.settings import Settings
from drawsguard.templates import render_template
from drawsguard.warehouse.bill import GIB, Shares, load_shares
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from drawsguard.wording import duration_en, duration_zh

Kind = Literal["daily", "weekly", "monthly"]
PERIODS: dict[Kind, timedelta] = {
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
}
TITLES: dict[Kind, str] = {
    "daily": "每日巡检 Daily inspection",
    "weekly": "每周审计 Weekly audit",
    "monthly": "月度 SLO Monthly SLO",
}

OBJECTIVE_SUCCESS, OBJECTIVE_LATENCY, OBJECTIVE_FALSE_ALARMS = 99.9, 300, 5.0
#: What the statements and views of days are made of (``beijing_day``).
BEIJING = ZoneInfo("Asia/Shanghai")
#: Below this many runs a single failure decides whether 99.9 % is met: nothing is judged.
RUNS_TO_JUDGE = 1000


@dataclass(frozen=True)
class Section:
    """A heading with a verdict, a sentence, a chart and a table."""

    title: str
    verdict: Literal["good", "bad", "unknown"]
    text: str
    chart: Markup | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class Report:
    """An inspection of a period.

    :param html: the mail's body and the kept file.
    :param latency_p95: from a draw until it was in the business table (seconds); None without draws.
    :param bytes_billed: by DAG; empty where the period is not asked for it, or it cannot be known.
    """

    kind: Kind
    start: datetime
    end: datetime
    sections: tuple[Section, ...]
    html: str
    latency_p95: float | None = None
    bytes_billed: Mapping[str, int] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Subject of the mail: what it is, for when, and how many sections are bad."""
        bad = sum(section.verdict == "bad" for section in self.sections)
        state = f"{bad} 项异常 {bad} findings" if bad else "正常 all good"
        return f"{TITLES[self.kind]} {self.end:%Y-%m-%d}: {state}"

    @property
    def file_name(self) -> str:
        """Name of the kept file: the same period overwrites itself."""
        return f"{self.kind}_{self.end:%Y-%m-%d}.html"


#: What the tables' columns are called, by the statements' and views' own names.
LABELS = {
    "beijing_day": "日期 Day (北京 Beijing)",
    "expected": "应有 Expected",
    "succeeded": "成功 Succeeded",
    "missing_periods": "缺期 Missing draws",
    "completeness_pct": "完整率 Complete (%)",
    "table_name": "表 Table",
    "status": "状态 Status",
    "overdue_draws": "逾期期数 Draws overdue",
    "last_draw_ts": "最新一期 Newest draw",
    "job_name": "作业 Job",
    "outcome": "结果 Outcome",
    "attempt_ts": "最近一次 Newest attempt",
    "success_overdue": "长时间未成功 Success overdue",
    "is_latest": "最近一次 Newest",
    "check_name": "检查 Check",
    "made": "次数 Times made",
    "failed": "未通过 Failed",
    "alerts": "告警 Alerts",
    "doubtful": "疑似误报 Doubtful",
    "dag": "DAG",
    "jobs": "查询 Queries",
    "bytes_billed": "计费字节 Bytes billed",
    "slot_ms": "计算时间 Slot time (ms)",
    "gib_month": "每月 A month (GiB)",
    "share": "预估份额 Estimated share (GiB)",
    "partitions": "分区 Partitions",
    "total_rows": "行数 Rows",
    "logical_bytes": "逻辑字节 Logical bytes",
    "principal": "操作人 Principal",
    "method": "操作 Method",
    "changes": "次数 Changes",
}
#: Statuses of the views, in words; any other is shown as it is.
_STATUSES = {
    "fresh": "及时 fresh",
    "late": "稍迟 late",
    "stale": "滞后 stale",
    "empty": "空 empty",
    "success": "成功 success",
}


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return labelled columns and rows; a column without a label is an error, so that none is shown by its raw name."""
    columns = tuple(rows[0]) if rows else ()
    return {
        "columns": tuple(LABELS[name] for name in columns),
        "rows": tuple(
            tuple(
                _STATUSES.get(row[name], row[name]) if name in ("status", "outcome") else row[name] for name in columns
            )
            for row in rows
        ),
    }


def success_section(days: Sequence[Mapping[str, Any]]) -> Section:
    """Judge the share of synced intervals; with too few of them only say so."""
    expected, succeeded = (sum(day[name] for day in days) for name in ("expected", "succeeded"))
    title = "同步成功率 Sync success rate"
    if not expected:
        return Section(title, "unknown", "没有应有的区间。No interval was expected.")
    rate = 100 * succeeded / expected
    text = f"{succeeded:,}/{expected:,} = {rate:.3f} %（目标 objective ≥ {OBJECTIVE_SUCCESS} %）。"
    verdict: Literal["good", "bad", "unknown"] = "good" if rate >= OBJECTIVE_SUCCESS else "bad"
    if expected < RUNS_TO_JUDGE:
        verdict = "unknown" if succeeded < expected and rate >= 99 else verdict
        text += (
            f"样本不足 {RUNS_TO_JUDGE:,} 次，无法判断 {OBJECTIVE_SUCCESS} %。"
            f"Fewer than {RUNS_TO_JUDGE:,} runs: {OBJECTIVE_SUCCESS} % cannot be judged."
        )
    failed = [(day["beijing_day"], day["expected"] - day["succeeded"]) for day in days]
    chart = Markup("<p>每天没有同步的区间 Intervals that were not synced, by day</p>") + columns(failed)
    return Section(title, verdict, text, chart, **_table(days))


def latency_section(row: Mapping[str, Any], p95_of: Mapping[date, float | None]) -> Section:
    """Judge the 95th percentile from a draw to its row.

    :param row: the percentiles of the whole period (seconds).
    :param p95_of: the 95th percentile of each day of the period; None for a day without draws.
    """
    title = "端到端延迟 End-to-end latency"
    if not row["draws"]:
        return Section(title, "unknown", "没有数据。No draws in the period.")
    names = {"p50": "一半以内 half within", "p95": "95 % 以内 within", "p99": "99 % 以内 within"}
    points = [(label, float(row[name])) for name, label in names.items()]
    verdict: Literal["good", "bad"] = "good" if row["p95"] <= OBJECTIVE_LATENCY else "bad"
    text = (
        f"95 % 的开奖在 {duration_zh(row['p95'])}内入库（目标 ≤ {duration_zh(OBJECTIVE_LATENCY)}），"
        f"样本 n = {row['draws']:,}。95 % of the draws arrive within {duration_en(row['p95'])} "
        f"(objective ≤ {duration_en(OBJECTIVE_LATENCY)})."
    )
    chart = bars(points, unit=" s", bad=[names["p95"]] if verdict == "bad" else [])
    if p95_of:
        chart += Markup("<p>每天的 95 % 以内 95 % within, by day (s)</p>")
        chart += columns(list(p95_of.items()), unit=" s", most=OBJECTIVE_LATENCY)
    return Section(title, verdict, text, chart)


def completeness_section(days: Sequence[Mapping[str, Any]]) -> Section:
    """Judge missing draws by day."""
    missing = sum(day["missing_periods"] for day in days)
    absent = [(day["beijing_day"], None if day["completeness_pct"] is None else day["missing_periods"]) for day in days]
    text = f"缺 {missing:,} 期。{missing:,} draws are missing."
    chart = Markup("<p>每天缺的期数 Missing draws, by day</p>") + columns(absent, most=0)
    return Section("完整性 Completeness", "bad" if missing else "good", text, chart, **_table(days))


def freshness_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Judge the freshness of every table now."""
    bad = [row["table_name"] for row in rows if row["status"] not in ("fresh", "late")]
    text = f"滞后 Stale: {', '.join(bad)}" if bad else "全部及时。All in time."
    points = [(row["table_name"], row["overdue_draws"]) for row in rows]
    chart = bars(points, unit=" 期 draws", bad=bad) if bad else None
    return Section("新鲜度 Freshness", "bad" if bad else "good", text, chart, **_table(rows))


def scheduler_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Judge how long ago every job succeeded, and name those whose newest attempt did not."""
    bad = [row["job_name"] for row in rows if row["success_overdue"]]
    failed = [row["job_name"] for row in rows if row["outcome"] != "success" and not row["success_overdue"]]
    texts = []
    if bad:
        texts.append(f"长时间未成功 No success for too long: {', '.join(bad)}.")
    if failed:
        texts.append(f"最近一次未成功，尚未超时 The newest attempt failed, not overdue yet: {', '.join(failed)}.")
    text = " ".join(texts) or "全部成功。All succeed."
    return Section("Cloud Scheduler 执行 Scheduler executions", "bad" if bad else "good", text, **_table(rows))


def false_alarm_section(rows: Sequence[Mapping[str, Any]], alerts_of: Mapping[date, int]) -> Section:
    """Judge the share of alerts that nobody acknowledged and that resolved within ten minutes.

    :param rows: a row of each check.
    :param alerts_of: how many alerts fired on each day of the period.
    """
    alerts, doubtful = (sum(row[name] for row in rows) for name in ("alerts", "doubtful"))
    share = 100 * doubtful / alerts if alerts else 0.0
    points = [(row["check_name"], float(row["alerts"])) for row in rows if row["alerts"]]
    chart = bars(points)
    if any(alerts_of.values()):
        chart += Markup("<p>每天的告警 Alerts by day</p>") + columns(list(alerts_of.items()))
    text = (
        f"{alerts:,} 条告警，其中 {doubtful:,} 条无人接手且 10 分钟内自行恢复（{share:.1f} %，"
        f"目标 ≤ {OBJECTIVE_FALSE_ALARMS} %）。"
        f"{doubtful:,} of {alerts:,} alerts resolved unattended within 10 minutes."
    )
    verdict: Literal["good", "bad"] = "good" if share <= OBJECTIVE_FALSE_ALARMS else "bad"
    return Section("误报 False alarms", verdict, text, chart, **_table(rows))


#: Why there are no figures.
NO_SUCH_VIEW = "此引擎没有 INFORMATION_SCHEMA.JOBS，未作估算。This engine has no such view; nothing is estimated."
NO_RIGHT_TO_JOBS = (
    "无权读取项目的作业：请授予 bigquery.jobs.listAll（如角色 BigQuery Resource Viewer），未作估算。"
    "No right to read the project's jobs: grant bigquery.jobs.listAll (role BigQuery Resource Viewer has it); "
    "nothing is estimated."
)


COST_TITLE = "按 DAG 的查询费用 Query cost by DAG"
MONTH_DAYS = 31


def cost_section(
    rows: Sequence[Mapping[str, Any]] | None,
    why: str = NO_SUCH_VIEW,
    *,
    days: float = 7,
    budget_gib: float = 1024,
    shares: Shares | None = None,
) -> Section:
    """Show the cost by DAG, and judge what a month at this rate costs; without rows, say why there are none.

    :param days: length of the period that the rows are of.
    :param budget_gib: what a month may be billed for (GiB).
    :param shares: the estimate to hold each DAG against; a day is too short for that.
    """
    if rows is None:
        return Section(COST_TITLE, "unknown", why)
    by_dag = {str(row["dag"]): row["bytes_billed"] / GIB / days * MONTH_DAYS for row in rows}
    month = sum(by_dag.values())
    points = [(row["dag"], round(row["bytes_billed"] / 2**20, 1)) for row in rows]
    text = (
        f"按此速度一个月 {month:,.0f} GiB，预算 {budget_gib:,.0f} GiB；按需计费每表至少 10 MB。"
        f"A month at this rate is {month:,.0f} GiB of {budget_gib:,.0f} GiB; at least 10 MB are billed for each table."
    )
    exceeded = shares.exceeded(by_dag) if shares else {}
    text += "".join(
        f" {dag} 超出其预估份额：{by_dag[dag]:,.0f} / {share:,.0f} GiB，见其最贵的语句。"
        f"{dag} exceeds its estimated share; look at its dearest statement."
        for dag, share in exceeded.items()
    )
    if shares:
        rows = [
            {**row, "gib_month": round(by_dag[dag], 1), "share": shares.gib_a_month.get(dag, "–")}
            for row in rows
            if (dag := str(row["dag"]))
        ]
    verdict: Literal["good", "bad"] = "bad" if month > budget_gib or exceeded else "good"
    return Section(COST_TITLE, verdict, text, bars(points, unit=" MiB"), **_table(rows))


def partition_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Show partitions and storage."""
    points = [(row["table_name"], float(row["partitions"])) for row in rows]
    return Section("分区与存储 Partitions and storage", "good", "分区数 partitions", bars(points), **_table(rows))


def change_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Show who changed accounts, grants, services and jobs, how often."""
    counts = Counter((row["principal"], row["method"].rsplit(".", 1)[-1]) for row in rows if row["code"] == 0)
    refused = sum(row["code"] != 0 for row in rows)
    text = f"{counts.total():,} 项变更，{refused:,} 项被拒绝。{counts.total():,} changes, {refused:,} refused."
    table = [{"principal": who, "method": method, "changes": number} for (who, method), number in counts.most_common()]
    by_method = Counter[str]()
    for (_, method), number in counts.items():
        by_method[method] += number
    return Section("身份变更 Identity changes", "good", text, bars(by_method.most_common()), **_table(table))


def advice_section(sections: Sequence[Section]) -> Section:
    """Say what follows from the other sections."""
    bad = [section.title for section in sections if section.verdict == "bad"]
    unknown = [section.title for section in sections if section.verdict == "unknown"]
    lines = [f"先处理 repair first: {title}" for title in bad]
    lines += [f"无法判断，补足数据后再看 cannot be judged yet: {title}" for title in unknown]
    return Section("建议 Advice", "good", "；".join(lines) or "保持现状。Nothing to change.")


class Inspector:
    """Makes the reports from one warehouse."""

    def __init__(self, repository: MonitoringRepository, settings: Settings) -> None:
        self._billed: dict[str, int] = {}
        self._repository, self._settings = repository, settings

    def _view(self, view: str, *columns: str) -> list[dict[str, Any]]:
        return self._repository.read_view(view, columns)

    def _report(self, name: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return self._repository.query(f"monitoring/reports/{name}", start=start, end=end)

    def _by_day(self, name: str, figure: str, start: datetime, end: datetime) -> dict[date, Any]:
        """Return a figure of a report of days for each day of the period; None where it has none."""
        found = {row["beijing_day"]: row[figure] for row in self._report(name, start, end)}
        first, last = start.astimezone(BEIJING).date(), (end - timedelta.resolution).astimezone(BEIJING).date()
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return {day: found.get(day) for day in days}

    def _false_alarms(self, start: datetime, end: datetime) -> Section:
        alerts_of = self._by_day("alerts_by_day", "alerts", start, end)
        return false_alarm_section(
            self._report("failed_checks", start, end), {day: alerts or 0 for day, alerts in alerts_of.items()}
        )

    def _cost(self, start: datetime, end: datetime, shares: Shares | None = None) -> Section:
        try:
            rows = self._report("cost_by_dag", start, end)
            self._billed = {str(row["dag"]): int(row["bytes_billed"]) for row in rows}
            days = (end - start) / timedelta(days=1)
            return cost_section(rows, days=days, budget_gib=self._settings.bigquery_budget_gib, shares=shares)
        except StatementError as error:
            if error.reason == "Forbidden":
                return cost_section(None, NO_RIGHT_TO_JOBS)
            if "INFORMATION_SCHEMA" not in str(error) and "region-" not in str(error):
                raise
            return cost_section(None, NO_SUCH_VIEW)

    def _partitions(self) -> Section:
        names = (self._settings.source_dataset, self._settings.target_dataset, self._settings.monitor_dataset)
        tables = [self._repository.query("monitoring/reports/partitions", {"dataset": name}) for name in names]
        return partition_section([row for rows in tables for row in rows])

    def make(self, kind: Kind, end: datetime) -> Report:
        """Return the report of the period of ``kind`` that ends at ``end`` (aware)."""
        start = end - PERIODS[kind]
        self._billed = {}
        success = success_section(self._report("sync_by_day", start, end))
        (latency,) = self._report("latency", start, end)
        days = self._view("collection_quality_v", "beijing_day", "expected", "missing_periods", "completeness_pct")
        completeness = completeness_section(sorted(days, key=lambda day: day["beijing_day"]))
        sections: list[Section]
        no_cloud_run = "cloud_run" in self._settings.absent
        if kind == "daily":
            jobs = self._view(
                "scheduler_execution_v", "job_name", "outcome", "attempt_ts", "success_overdue", "is_latest"
            )
            sections = [
                freshness_section(
                    self._view("cloud_freshness_v", "table_name", "status", "overdue_draws", "last_draw_ts")
                ),
                success,
                *([] if no_cloud_run else [scheduler_section([job for job in jobs if job["is_latest"]])]),
                completeness,
                self._cost(start, end),
            ]
        elif kind == "weekly":
            changes = self._view("identity_change_v", "principal", "method", "code")
            sections = [
                self._partitions(),
                self._cost(start, end, load_shares()),
                self._false_alarms(start, end),
                completeness,
                change_section(changes),
            ]
        else:
            p95_of = self._by_day("latency_by_day", "p95", start, end)
            sections = [
                success, latency_section(latency, p95_of), self._false_alarms(start, end), self._cost(start, end)
            ]  # fmt: skip
        sections.append(advice_section(sections))
        html = render_template(
            "reports/inspection.html",
            title=TITLES[kind],
            start=start,
            end=end,
            sections=sections,
            runbook=runbook_link("inspections", self._settings),
            ui=self._settings.ui_base_url,
        )
        zone = ZoneInfo(self._settings.business_timezone)
        return Report(
            kind, start.astimezone(zone), end.astimezone(zone), tuple(sections), html, latency["p95"], self._billed
        )
