"""Identity results as rows and as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drawsguard.identity.model import CheckResult


def result_rows(results: Sequence[CheckResult], run_id: str, checked_at: datetime) -> list[dict[str, Any]]:
    """Return the results as rows of ``identity_check_log``."""
    return [
        {
            "run_id": run_id,
            "service": result.service,
            "check_number": result.number,
            "check_name": result.name,
            "checked_at": checked_at,
            "status": result.status,
            "findings": json.dumps(
                [
                    {
                        "code": finding.code,
                        "severity": finding.severity.value,
                        "expected": finding.expected,
                        "actual": finding.actual,
                        "mended_by": finding.mended_by.value,
                        "symptom": finding.symptom,
                    }
                    for finding in result.findings
                ]
            ),
        }
        for result in results
    ]
