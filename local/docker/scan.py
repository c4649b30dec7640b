"""``python -m local.docker.scan IMAGE``: what the production image is, and what is known against it.

Starts the image as Kubernetes does (a plain user, no capabilities, a read-only root) and looks at each promise of
docs/kubernetes.md; asks Debian for repairs that the image lacks; then has a scanner of images look, which knows the
weaknesses that nobody has repaired, too. Ends with 1 when a finding is left.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable

#: A scanner that runs as a container beside the engine; ``--scanner`` takes another command, ``none`` leaves it out.
SCANNER = (
    "docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock anchore/grype:v0.121.2"
    " --only-fixed --fail-on high"
)
WRITABLE = "/opt/airflow-home"
#: How the chart starts a container (deploy/helm/values.yaml).
CONFINED = (
    "--read-only", "--tmpfs", "/tmp", "--tmpfs", f"{WRITABLE}:uid=50000,mode=0775",  # noqa: S108 - in the container
    "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges",
)  # fmt: skip
#: What production has no use for: the simulators, the tests and what they need.
NOT_THERE = ("local", "benchmarks", "pytest", "moto", "gcp_storage_emulator", "aiosmtpd", "supervisor", "ruff")
#: How long the API server may take to be healthy, and a container to end (seconds).
HEALTHY, ENDED = 240, 25

Run = Callable[..., subprocess.CompletedProcess[str]]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said, standard error included."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def in_image(image: str, script: str, *, run: Run, options: tuple[str, ...] = CONFINED) -> tuple[int, str]:
    """Return exit code and output of a shell script in a container of the image."""
    done = run("docker", "run", "--rm", *options, image, "bash", "-c", script)
    return done.returncode, done.stdout.strip()


def is_a_plain_user(image: str, run: Run = run) -> list[str]:
    code, user = in_image(image, "id -u", run=run)
    return [] if code == 0 and user.isdecimal() and user != "0" else [f"runs as user {user!r}, not as a plain one"]


def holds_what_production_runs(image: str, run: Run = run) -> list[str]:
    """The three folders and no other; no simulator, no test, nothing of theirs to import."""
    _, folders = in_image(image, "ls /opt/drawsguard", run=run)
    looks = f"import importlib.util as u; print(*[n for n in {NOT_THERE!r} if u.find_spec(n)])"
    code, found = in_image(image, f"cd /opt/drawsguard && python -c {shlex.quote(looks)}", run=run)
    return [
        *([] if folders.split() == ["dags", "include", "plugins"] else [f"holds {folders.split()} in /opt/drawsguard"]),
        *([] if code == 0 and not found else [f"holds what production has no use for: {found}"]),
    ]


def writes_where_it_may(image: str, run: Run = run) -> list[str]:
    """With a writable root as well: the code is not its user's."""
    _, found = in_image(image, "find / -xdev -writable -type d -not -path '/proc/*' 2>/dev/null", run=run, options=())
    allowed = re.compile(rf"/(tmp|var/tmp|run/lock|dev|home/airflow|{WRITABLE[1:]})(/|$)")
    return [f"its user can write to {folder}" for folder in found.splitlines() if not allowed.match(folder)]


def reads_every_dag(image: str, run: Run = run) -> list[str]:
    """``airflow`` runs on a read-only root, and no DAG file has an error."""
    code, output = in_image(
        image,
        "airflow version && airflow db migrate >/tmp/log 2>&1 && airflow dags list-import-errors --local",
        run=run,
    )
    return [] if code == 0 else [f"a DAG file has an error, or airflow does not run: …{output[-1500:]}"]


def becomes_healthy_and_ends(image: str, run: Run = run) -> list[str]:
    """Its health check finds the API server, and a request to end is followed, not killed."""
    started = run(
        "docker", "run", "--detach", *CONFINED, image, "bash", "-c", "airflow db migrate && exec airflow api-server"
    )
    name = started.stdout.strip().splitlines()[-1]
    try:
        deadline, health = time.monotonic() + HEALTHY, "starting"
        while health == "starting" and time.monotonic() < deadline:
            time.sleep(2)
            health = run("docker", "inspect", "--format", "{{.State.Health.Status}}", name).stdout.strip()
        if health != "healthy":
            return [f"its health is {health!r}: …{run('docker', 'logs', '--tail', '20', name).stdout[-1500:]}"]
        run("docker", "stop", "--time", str(ENDED), name)
        code = run("docker", "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
        return [f"did not end within {ENDED} s and was killed"] if code == "137" else []
    finally:
        run("docker", "rm", "--force", name)


def has_debians_repairs(image: str, run: Run = run) -> list[str]:
    """Return the packages for which Debian's security archive has a newer version than the image."""
    script = "apt-get update -qq && apt-get --simulate --quiet upgrade"
    code, output = in_image(image, script, run=run, options=("--user", "root"))
    if code:
        return [f"Debian could not be asked for repairs: …{output[-500:]}"]
    return [
        f"Debian has a repair of {found[1]}: {found[2]}"
        for found in re.finditer(r"^Inst (\S+) .*\((\S+) [^)]*[Ss]ecurity", output, re.MULTILINE)
    ]


def is_passed_by_the_scanner(image: str, run: Run = run, scanner: str = SCANNER) -> list[str]:
    done = run(*shlex.split(scanner), image)
    return [] if done.returncode == 0 else [f"not passed by `{scanner}`:\n{done.stdout[-4000:]}"]


CHECKS = (
    is_a_plain_user,
    holds_what_production_runs,
    writes_where_it_may,
    reads_every_dag,
    becomes_healthy_and_ends,
    has_debians_repairs,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--scanner", default=SCANNER, help="command that gets the image behind it; none: none")
    options = parser.parse_args()
    left = False
    for check in CHECKS:
        found = check(options.image)
        print("\n  ".join([f"{'FAILED' if found else 'ok':6} {check.__name__.replace('_', ' ')}", *found]), flush=True)
        left = left or bool(found)
    if options.scanner == "none":
        print("NOT DONE: no scanner of images was asked for weaknesses that Debian has not repaired")
        return int(left)
    found = is_passed_by_the_scanner(options.image, scanner=options.scanner)
    print("\n  ".join([f"{'FAILED' if found else 'ok':6} is passed by the scanner", *found]))
    return int(left or bool(found))


if __name__ == "__main__":
    sys.exit(main())
