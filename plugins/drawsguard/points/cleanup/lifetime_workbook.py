"""Write the lifetime report as a workbook with charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.chart import BarChart, LineChart, Reference

from drawsguard.points.cleanup.lifetime import LifetimePoint, LifetimeReport
from drawsguard.points.sheets import Column, add_table, cell_text

#: Owners shown in the chart; the table has all of them.
CHARTED_ROWS = 15
_LIFETIME = {True: "有 yes", False: "无 no", None: "未知 unknown"}
_POINT: tuple[Column, ...] = (
    ("积分 id", 12),
    ("集群 cluster", 20),
    ("负责人 owner", 24),
    ("创建月份 created", 18),
    ("闲置天数 idle days", 20),
    ("有生命周期 lifetime", 20),
)


def write_lifetime(path: Path, month: str, report: LifetimeReport) -> None:
    """Write the workbook.

    :param path: where to; folders are made.
    :param month: the report's month, e.g. ``2024-09``.
    :param report: the report.
    """
    workbook = Workbook(write_only=True)
    workbook.properties.title = cell_text(f"积分生命周期 points lifetime {month}")
    notes: list[list[Any]] = [
        ["月份 month", month],
        ["在用积分 points served", len(report.points)],
        ["无负责人 without owner", len(report.without_owner)],
        ["无生命周期 without lifetime", len(report.without_lifetime)],
        ["生命周期未知 lifetime unknown", report.lifetime_unknown],
        ["结论:积分的生命周期应从创建时开始控制;没有负责人或生命周期的积分会成为下一批清理对象。"],
        ["Control every point's lifetime from its creation: those without owner or lifetime are the next cleanup."],
        [],
    ]
    _add_groups(workbook, "集群 clusters", "cluster", "集群 cluster", notes, report)
    _add_groups(workbook, "负责人 owners", "owner", "负责人 owner", [], report)
    growth = report.growth()
    columns = (("月份 month", 18), ("新增 created", 16), ("累计 total", 16))
    sheet = add_table(workbook, "增长 growth", [], columns, growth)
    if growth:
        chart = LineChart()
        chart.title = "积分增长 growth per month"
        _fill(chart, sheet, header_row=1, rows=len(growth), columns=(2, 3), place="E2")
        for series in chart.series:
            series.smooth = False
    for title, points in (
        ("无负责人 no owner", report.without_owner),
        ("无生命周期 no lifetime", report.without_lifetime),
    ):
        add_table(workbook, title, [], _POINT, [_row(point) for point in points])
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)


def _add_groups(
    workbook: Workbook, title: str, key: str, header: str, notes: list[list[Any]], report: LifetimeReport
) -> None:
    idle = tuple((f"闲置 idle ≥ {days}", 18) for days in report.idle_days)
    columns = (
        (header, 32),
        ("积分 points", 14),
        ("无负责人 no owner", 18),
        ("无生命周期 no lifetime", 22),
        ("未知 unknown", 16),
        *idle,
    )
    rows = [(*row[:5], *row[5]) for row in report.by(key)]
    sheet = add_table(workbook, title, notes, columns, rows)
    if rows:
        chart = BarChart()
        chart.type, chart.x_axis.scaling.orientation, chart.y_axis.crosses = "bar", "maxMin", "max"
        chart.title = f"闲置与无生命周期 idle, no lifetime · {header}"
        last = len(columns)
        _fill(chart, sheet, header_row=len(notes) + 1, rows=min(len(rows), CHARTED_ROWS), columns=(3, last), place="K2")


def _fill(chart: Any, sheet: Any, *, header_row: int, rows: int, columns: tuple[int, int], place: str) -> None:
    first, last = columns
    data = Reference(sheet, min_col=first, max_col=last, min_row=header_row, max_row=header_row + rows)
    chart.add_data(data, titles_from_data=True)
    chart.set_categories(Reference(sheet, min_col=1, min_row=header_row + 1, max_row=header_row + rows))
    chart.width, chart.height = 26, 13
    # Newer spreadsheet programs hide axes unless told otherwise.
    chart.x_axis.delete = chart.y_axis.delete = False
    sheet.add_chart(chart, place)


def _row(point: LifetimePoint) -> tuple[Any, ...]:
    return (
        point.eid, point.cluster, point.owner, point.month, point.idle_days, _LIFETIME[point.has_lifetime]
    )  # fmt: skip
