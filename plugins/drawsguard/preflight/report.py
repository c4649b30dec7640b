"""The report of a preflight, for the console, the UI and mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drawsguard.preflight.model import Row, Status
from drawsguard.settings import Settings
from drawsguard.templates import render_template
from drawsguard.wording import moment

#: The page of a report; its values are those of `Report.to_json`.
TEMPLATE = "reports/preflight.html"

_MARKS = {Status.PASS: "✓", Status.WARN: "!", Status.FAIL: "✗"}


@dataclass(frozen=True)
class Report:
    """What a preflight found.

    :param made_at: when (aware).
    :param where: whose connections were looked at.
    """

    rows: Sequence[Row]
    made_at: datetime
    where: str
    settings: Settings

    def count(self, status: Status) -> int:
        """Return how many rows have a status."""
        return sum(row.finding.status is status for row in self.rows)

    @property
    def ready(self) -> bool:
        """Whether nothing failed."""
        return self.count(Status.FAIL) == 0

    def counts(self) -> dict[str, int]:
        """Return how many rows there are, and how many passed, failed and warned."""
        return {
            "checks": len(self.rows),
            "passed": self.count(Status.PASS),
            "failed": self.count(Status.FAIL),
            "warned": self.count(Status.WARN),
        }

    @property
    def verdict(self) -> str:
        """One line for people."""
        counts = self.counts()
        state = "可以投产 ready" if self.ready else "尚未就绪 not ready"
        return (
            f"{state}：{counts['checks']} 项 checks，通过 passed {counts['passed']}，"
            f"失败 failed {counts['failed']}，警告 warned {counts['warned']}"
        )

    @property
    def subject(self) -> str:
        """Subject of the mail."""
        return f"上线检查 Preflight {moment(self.made_at.replace(second=0, microsecond=0))}: {self.verdict}"

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types: what the UI's page and the mail are made of."""
        return {
            **self.counts(),
            "ready": self.ready,
            "verdict": self.verdict,
            "made_at": moment(self.made_at),
            "where": self.where,
            "document": f"{self.settings.runbook_base_url.removesuffix('/runbooks')}/preflight.md",
            "rows": [
                {
                    "part": row.check.part,
                    "name": row.check.name,
                    "title": row.check.title,
                    "status": row.finding.status.value,
                    "found": row.finding.found,
                    "advice": row.finding.advice,
                }
                for row in self.rows
            ],
        }

    def text(self) -> str:
        """Return the report for the console: what failed stands at the end, where one looks first."""
        order = (Status.PASS, Status.WARN, Status.FAIL)
        lines = [f"上线检查 preflight: {self.where}"]
        for row in sorted(self.rows, key=lambda one: order.index(one.finding.status)):
            lines.append(f"{_MARKS[row.finding.status]} {row.check.part} · {row.check.title}: {row.finding.found}")
            if row.finding.advice:
                lines.append(f"    → {row.finding.advice}")
        return "\n".join([*lines, self.verdict])

    def html(self) -> str:
        """Return the report as a page, for the UI and mail."""
        return render_template(TEMPLATE, **self.to_json())
