"""What is outside the code and could rot unseen: CI, contribution guide, changelog, Helm values, production image."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from drawsguard.settings import ENVIRONMENTS, REPOSITORY

HELM = REPOSITORY / "deploy" / "helm"
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
TARGETS = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


# --- CI ---------------------------------------------------------------------------------------------------
def test_ci_runs_make_targets_and_nothing_else() -> None:
    jobs = read_yaml(REPOSITORY / ".github" / "workflows" / "ci.yaml")["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert set(commands) == {"make lint", "make test", "make audit", "make image", "make scan"}
    assert {command.removeprefix("make ") for command in commands} <= TARGETS
    assert all("timeout-minutes" in job for job in jobs.values())


def test_each_action_and_image_of_ci_has_a_version() -> None:
    text = (REPOSITORY / ".github" / "workflows" / "ci.yaml").read_text("utf-8")
    used = re.findall(r"uses: (\S+)", text) + re.findall(r"container: (\S+)", text)
    assert used
    assert [one for one in used if not re.search(r"(@v\d+|:\d+\.\d+\.\d+[\w.-]*)$", one)] == []


def test_pre_commit_calls_what_lint_calls() -> None:
    lint = (REPOSITORY / "Makefile").read_text("utf-8").split("\nlint:")[1].split("\n\n")[0]
    for hook in (h for repo in read_yaml(REPOSITORY / ".pre-commit-config.yaml")["repos"] for h in repo["hooks"]):
        assert hook["entry"] == "make lint" or hook["entry"] in lint, hook["id"]


def test_owners_are_of_folders_that_exist() -> None:
    lines = (REPOSITORY / ".github" / "CODEOWNERS").read_text("utf-8").splitlines()
    places = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert [place for place in places if place != "*" and not (REPOSITORY / place.strip("/")).exists()] == []


# --- guides -----------------------------------------------------------------------------------------------
def guides() -> dict[str, list[str]]:
    """Return the numbered lines of each section "Add a …" of CONTRIBUTING.md."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    sections = re.findall(r"^## (Add an? .+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: re.findall(r"^\d\. (.+)$", body, re.MULTILINE) for name, body in sections}


@pytest.mark.parametrize("name", ["Add a check", "Add a feature", "Add a statement", "Add a DAG"])
def test_a_guide_has_five_lines_and_ends_with_the_tests_that_ask_for_it(name: str) -> None:
    lines = guides()[name]
    assert len(lines) == 5
    assert lines[-1].startswith("Asked for by ")
    named = re.findall(r"`(tests/[^`]+)`", lines[-1])
    assert named
    assert [one for one in named if not (REPOSITORY / one).exists()] == []


def test_every_file_that_a_guide_names_exists() -> None:
    named = re.findall(r"`([a-z_]+/[\w/.-]+)`", "\n".join(line for lines in guides().values() for line in lines))
    assert len(named) > 10
    assert [one for one in named if not (REPOSITORY / one).exists()] == []


def test_the_changelog_has_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert VERSION in headings
    assert headings[0] in {"Unreleased", VERSION}


# --- locks ------------------------------------------------------------------------------------------------
def locked(kind: str) -> dict[str, str]:
    """Return the versions of a lock: of production, of ``-s3`` or of ``-dev``."""
    text = (REPOSITORY / f"requirements{kind}.lock").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def test_the_locks_agree_and_each_holds_what_it_is_for() -> None:
    production, s3, development = (locked(kind) for kind in ("", "-s3", "-dev"))
    assert production.items() <= s3.items()
    assert s3.items() <= development.items()
    assert {"apache-airflow-providers-fab", "authlib", "python-keycloak", "gcsfs"} <= production.keys()
    assert "apache-airflow-providers-openlineage" in production
    assert {"s3fs", "apache-airflow-providers-amazon"} <= s3.keys() - production.keys()
    assert not {"moto", "gcp-storage-emulator", "ruff", "supervisor", "pytest", "iniconfig"} & s3.keys()
    assert "pytest" in development


# --- Kubernetes and the image -------------------------------------------------------------------------------
def test_the_chart_runs_this_version_of_the_image_and_of_airflow() -> None:
    values = read_yaml(HELM / "values.yaml")
    pinned = re.search(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert pinned is not None
    assert values["airflowVersion"] == pinned[1]
    assert str(values["defaultAirflowTag"]) == VERSION
    assert values["defaultAirflowRepository"].endswith("drawsguard/production")


def test_the_lock_has_the_executors_of_the_chart() -> None:
    executors = {"CeleryExecutor": "celery", "KubernetesExecutor": "cncf-kubernetes"}
    chosen = read_yaml(HELM / "values.yaml")["executor"].split(",")
    assert {f"apache-airflow-providers-{executors[one]}" for one in chosen} <= locked("").keys()


def test_the_chart_gives_a_plain_user_nothing_to_write_but_its_volumes() -> None:
    values = read_yaml(HELM / "values.yaml")
    dockerfile = (REPOSITORY / "local" / "docker" / "Dockerfile").read_text("utf-8")
    assert f"--uid {values['securityContexts']['pod']['runAsUser']} " in dockerfile
    assert values["securityContexts"]["pod"]["runAsNonRoot"]
    assert values["securityContexts"]["containers"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"] for mount in values["volumeMounts"]}
    assert mounted == {"/tmp", values["airflowHome"]}
    assert {mount["name"] for mount in values["volumeMounts"]} == {volume["name"] for volume in values["volumes"]}
    assert f"AIRFLOW_HOME={values['airflowHome']} " in dockerfile


def test_the_chart_finds_what_it_starts_in_the_image() -> None:
    """It starts ``bash -c "exec airflow …"`` and probes by /entrypoint; the groomer's script is not there."""
    production, values = stage("production"), read_yaml(HELM / "values.yaml")
    assert re.findall(r"^ENTRYPOINT (.+)$", production, re.MULTILINE) == ['["/usr/bin/dumb-init", "--", "/entrypoint"]']
    assert re.findall(r"^CMD (.+)$", production, re.MULTILINE) == ['["airflow", "api-server"]']
    script = re.search(r"printf '(.+)' >/entrypoint", production)
    assert script is not None
    assert script[1].replace("\\n", "\n") == '#!/bin/sh\nexec "$@"\n'
    parts = [values["scheduler"], values["dagProcessor"], values["triggerer"], values["workers"]["celery"]]
    assert [part["logGroomerSidecar"] for part in parts] == [{"enabled": False}] * 4


def test_the_chart_neither_hides_our_local_settings_nor_makes_an_admin() -> None:
    """``createUserJob.defaultUser`` would leave the job on, and ``webserver.defaultUser`` is going away."""
    values = read_yaml(HELM / "values.yaml")
    assert values["airflowLocalSettings"] is None
    assert values["createUserJob"] == {"enabled": False}


def test_the_names_of_the_services_are_no_settings() -> None:
    """Kubernetes names variables after the services of a release: DRAWSGUARD_API_SERVER_PORT would stop the start."""
    assert read_yaml(HELM / "values.yaml")["enableServiceLinks"] is False


def test_the_broker_runs_as_a_plain_user_too() -> None:
    assert read_yaml(HELM / "values.yaml")["redis"]["securityContexts"]["pod"]["runAsNonRoot"] is True


def test_the_chart_has_the_version_that_its_values_were_rendered_with() -> None:
    named = [
        re.findall(r"(?:apache-airflow/airflow |--version )(\d+\.\d+\.\d+)", path.read_text("utf-8"))
        for path in (HELM / "values.yaml", REPOSITORY / "docs" / "kubernetes.md")
    ]
    assert named[0]
    assert set(named[0]) == set(named[1])


@pytest.mark.parametrize("environment", sorted(path.name for path in ENVIRONMENTS.iterdir()))
def test_each_environment_keeps_its_logs_in_a_bucket_of_its_own(environment: str) -> None:
    folders = {
        name: read_yaml(HELM / f"values-{name}.yaml")["config"]["logging"]["remote_base_log_folder"]
        for name in sorted(path.name for path in ENVIRONMENTS.iterdir())
    }
    assert folders[environment].startswith("gs://")
    assert len(set(folders.values())) == len(folders)


@pytest.mark.parametrize("environment", sorted(path.name for path in ENVIRONMENTS.iterdir()))
def test_each_environment_has_values_that_choose_it(environment: str) -> None:
    """Helm replaces lists as a whole, so each file repeats the variables of the common one."""
    own = {one["name"]: one["value"] for one in read_yaml(HELM / f"values-{environment}.yaml")["env"]}
    common = {one["name"]: one["value"] for one in read_yaml(HELM / "values.yaml")["env"]}
    assert own == common | {"DRAWSGUARD_ENVIRONMENT": environment}


def stage(name: str) -> str:
    """Return the instructions of a stage of the Dockerfile."""
    dockerfile = (REPOSITORY / "local" / "docker" / "Dockerfile").read_text("utf-8")
    found = re.search(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", dockerfile, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_production_image_holds_no_simulator_and_runs_as_a_plain_user() -> None:
    production = stage("production")
    assert sorted(re.findall(r"^COPY (\w+) ", production, re.MULTILINE)) == ["dags", "include", "plugins"]
    assert re.findall(r"^COPY .*\blocal\b", stage("runtime"), re.MULTILINE) == []
    # The classic builder builds every stage before the one that is asked for.
    order = re.findall(
        r"^FROM \S+ AS (\w+)$", (REPOSITORY / "local/docker/Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    assert order[:3] == ["build", "runtime", "production"]
    assert re.findall(r"--owner airflow .*", production + stage("runtime")) == [
        "--owner airflow --group root --mode 0775 /opt/airflow-home \\"
    ]
    assert re.findall(r"^USER (\w+)", production, re.MULTILINE) == ["airflow"]
    assert "HEALTHCHECK" in production


# --- tests clean up -----------------------------------------------------------------------------------------
def process_of_tests(case: Path, system: Path) -> subprocess.Popen[str]:
    """Begin to run a file of tests in a process of its own, with this folder as the system's temporary one."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(REPOSITORY / "pyproject.toml"),
         "-p", "tests.conftest", str(case)],
        cwd=REPOSITORY, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(system), "PYTHONPATH": f"{REPOSITORY}:plugins"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_test_process_leaves_nothing(tmp_path: Path) -> None:
    """Neither in the system's temporary folder nor in the checkout, also when a test writes into both."""
    case = tmp_path / "test_writes.py"
    case.write_text(
        "import os, tempfile, pathlib\n"
        "from tests.conftest import TEST_STATE, free_port_base\n"
        "def test_writes(tmp_path):\n"
        "    tempfile.mkdtemp()\n"
        "    (tmp_path / 'file').write_text('x')\n"
        "    free_port_base()\n"
        "    artifacts = pathlib.Path(os.environ['DRAWSGUARD_ARTIFACTS_ADDRESS'])\n"
        "    artifacts.mkdir(parents=True)\n"
        "    assert artifacts.is_relative_to(TEST_STATE)\n",
        encoding="utf-8",
    )
    system = tmp_path / "tmp"
    system.mkdir()
    states = REPOSITORY / ".local" / "test"
    before = {path.name for path in states.iterdir()} if states.exists() else set()
    process = process_of_tests(case, system)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert list(system.iterdir()) == []
    assert not (states / str(process.pid)).exists()
    assert process.pid not in {int(name) for name in before if name.isdigit()}


def test_a_test_process_that_is_ended_leaves_nothing_either(tmp_path: Path) -> None:
    case, system = tmp_path / "test_waits.py", tmp_path / "tmp"
    case.write_text(
        "import pathlib, tempfile, time\n"
        "def test_waits():\n"
        "    tempfile.mkdtemp()\n"
        f"    pathlib.Path({str(tmp_path / 'waits')!r}).touch()\n"
        "    time.sleep(120)\n",
        encoding="utf-8",
    )
    system.mkdir()
    process = process_of_tests(case, system)
    for _ in range(1200):
        if (tmp_path / "waits").exists():
            break
        time.sleep(0.1)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in output
    assert list(system.iterdir()) == []
