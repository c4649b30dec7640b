"""``make scan``: each promise of the image has a check, and each check finds what breaks it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from drawsguard.settings import REPOSITORY
from local.docker import scan

#: What an image in order says: the beginning of a command or a part of its script → exit code and output.
SOUND = {
    "id -u": (0, "50000\n"),
    "ls /opt/drawsguard": (0, "dags\ninclude\nplugins\n"),
    "find_spec": (0, "\n"),
    "find / ": (1, "/tmp\n/var/tmp\n/run/lock\n/home/airflow\n/opt/airflow-home\n/dev/shm\n"),
    "list-import-errors": (0, "No data found\n"),
    "--detach": (0, "0123abcd\n"),
    "State.Health": (0, "healthy\n"),
    "State.ExitCode": (0, "0\n"),
    "--simulate": (0, "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"),
    "grype": (0, "No vulnerabilities found\n"),
}
SECURITY = """Inst libssl3 [3.0.1-1] (3.0.1-1+deb12u9 Debian-Security:12/stable-security [amd64])
Inst tzdata [1] (2 Debian:12/stable [all])
"""


def image_that_says(otherwise: dict[str, tuple[int, str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a ``docker`` whose image is in order but for what is given."""
    said = SOUND | otherwise

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        asked = " ".join(command)
        code, output = next((answer for part, answer in said.items() if part in asked), (0, ""))
        return subprocess.CompletedProcess(command, code, output)

    return run


def found(run: Callable[..., subprocess.CompletedProcess[str]]) -> list[str]:
    return [one for check in (*scan.CHECKS, scan.is_passed_by_the_scanner) for one in check("image", run=run)]


def test_an_image_in_order_has_no_finding() -> None:
    assert found(image_that_says({})) == []


@pytest.mark.parametrize(
    ("part", "answer", "finding"),
    [
        ("id -u", (0, "0"), "runs as user '0'"),
        ("id -u", (125, "no such image"), "not as a plain one"),
        ("ls /opt/drawsguard", (0, "dags\ninclude\nlocal\nplugins"), "holds ['dags', 'include', 'local', 'plugins']"),
        ("find_spec", (0, "local pytest"), "has no use for: local pytest"),
        ("find / ", (0, "/tmp\n/opt/drawsguard/plugins\n"), "can write to /opt/drawsguard/plugins"),
        ("find / ", (0, "/tmpfiles\n"), "can write to /tmpfiles"),
        ("list-import-errors", (1, "ImportError: no module named openpyxl"), "no module named openpyxl"),
        ("State.Health", (0, "unhealthy\n"), "its health is 'unhealthy'"),
        ("State.ExitCode", (0, "137\n"), "was killed"),
        ("--simulate", (0, SECURITY), "Debian has a repair of libssl3: 3.0.1-1+deb12u9"),
        ("--simulate", (100, "Could not resolve"), "Debian could not be asked"),
        ("grype", (2, "CVE-2025-1 High"), "CVE-2025-1 High"),
    ],
)
def test_a_check_finds_what_breaks_it(part: str, answer: tuple[int, str], finding: str) -> None:
    (only,) = found(image_that_says({part: answer}))
    assert finding in only


def test_the_image_is_started_as_the_chart_starts_it() -> None:
    chart = (REPOSITORY / "deploy" / "helm" / "values.yaml").read_text("utf-8")
    assert f"airflowHome: {scan.WRITABLE}\n" in chart
    assert ("--read-only" in scan.CONFINED) == ("readOnlyRootFilesystem: true" in chart)
    assert f"runAsUser: {re.search(r'uid=([0-9]+)', ' '.join(scan.CONFINED))[1]}," in chart  # type: ignore[index]


def test_without_a_scanner_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scan, "CHECKS", ())
    monkeypatch.setattr("sys.argv", ["scan", "image", "--scanner", "none"])
    assert scan.main() == 0
    assert "NOT DONE" in capsys.readouterr().out
