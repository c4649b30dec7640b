"""What the real engines say of the statements: Google's analyzer accepts all, genuine Hive executes all.

``ours`` counts what the engine accepted (or, of the broken statements, refused), ``alternative`` all that it was asked.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]

#: The name of the result, the folder of tests, the test that counts, what it counts.
JUDGES = (
    ("sql_bigquery_accepted", "analyzer", "test_statements_of_a_path_are_accepted", "statements", "GoogleSQL accepted"),
    ("sql_bigquery_controls_refused", "analyzer", "test_broken_statement_is_refused", "", "broken GoogleSQL refused"),
    ("sql_hive_executed", "hive", "test_every_file_is_executed", "statements", "HiveQL files executed, per table kind"),
    ("sql_hive_controls_refused", "hive", "test_a_broken_statement_is_refused", "", "broken HiveQL refused"),
)


def run() -> list[dict[str, Any]]:
    """Run both judges' tests and count."""
    cases = {folder: _cases(folder) for folder in ("analyzer", "hive")}
    results = []
    for name, folder, test, counted, what in JUDGES:
        weights = [
            (_weight(case, counted), case.find("failure") is None and case.find("error") is None)
            for case in cases[folder]
            if case.attrib["name"].split("[")[0] == test
        ]
        asked, answered = sum(weight for weight, _ in weights), sum(weight for weight, passed in weights if passed)
        results.append(
            {
                "name": name,
                "ours": answered,
                "alternative": asked,
                "ratio": round(answered / asked, 3) if asked else 0,
                "unit": "statements",
                "what": f"{what}; ours as the engine answered, alternative all that it was asked",
            }
        )
    return results


def _cases(folder: str) -> list[ET.Element]:
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"tests/sql/{folder}", f"--junitxml={report}"]
        subprocess.run(command, cwd=REPOSITORY, check=False, stdout=subprocess.DEVNULL)
        return list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by pytest itself


def _weight(case: ET.Element, counted: str) -> int:
    """How many statements the case judged: the property that it recorded, or one."""
    if not counted:
        return 1
    return sum(int(one.attrib["value"]) for one in case.iter("property") if one.attrib["name"] == counted)
