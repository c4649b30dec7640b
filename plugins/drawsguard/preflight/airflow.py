"""Airflow itself: pools, approvers, where artifacts are, and settings that do harm where they are left as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator

from drawsguard.approvals.people import Approvers
from drawsguard.deadlines import load_deadlines
from drawsguard.preflight.model import Check, Finding, World, failed, listed, passed, warned
from drawsguard.settings import Settings, config_file

PART = "Airflow"
POOLS = config_file("pools.json")

#: DAGs whose pauses are told from outages.
PAUSABLE = ("monitoring_checks", "alert_digest")

_REST = (
    "建立连接 airflow_api_default（HTTP：地址、可读运行、Pools、用户与审计日志的帐号）。"
    "Make the connection airflow_api_default (HTTP: address, "
    "and a user who may read runs, pools, users and the audit log)."
)
_IMPORT = "airflow pools import include/config/pools.json"
_APPROVERS = "改正 DRAWSGUARD_APPROVERS（docs/auth.md）。Correct DRAWSGUARD_APPROVERS (docs/auth.md)."
_FOLDER = (
    "把 DRAWSGUARD_ARTIFACTS_ADDRESS 设为所有 worker 可写的存储桶 (gs://, s3://) 或共享目录。"
    "Set DRAWSGUARD_ARTIFACTS_ADDRESS to a bucket (gs://, s3://) or a shared folder in which all workers may write."
)


def pools(world: World) -> Iterator[Finding]:
    """Every pool exists with its slots: one slot keeps two writers of a table apart."""
    wanted = json.loads(POOLS.read_text("utf-8"))
    try:
        found = {one["name"]: one for one in world.airflow("/pools?limit=1000")["pools"]}
    except LookupError as error:
        yield warned(f"未检查 not looked at: {error}", _REST)
        return
    if missing := sorted(set(wanted) - set(found)):
        yield failed(f"缺少 missing {', '.join(missing)}", _IMPORT)
    for name, pool in wanted.items():
        if name not in found:
            continue
        for setting in ("slots", "include_deferred"):
            if found[name][setting] != pool[setting]:
                yield failed(
                    f"{name}: {setting} = {found[name][setting]}，应为 expected {pool[setting]}",
                    f"两个写入者会相撞。Two writers would meet. {_IMPORT}",
                )
    yield passed(listed(sorted(set(wanted) & set(found)), most=len(wanted)))


def history(world: World) -> Iterator[Finding]:
    """Runs and the audit log can be read: by them a later delivery ends a miss, and a pause is no outage."""
    try:
        # Of each by its name, as it is asked later: a list of all is filtered, and refused to nobody.
        for dag_id in load_deadlines():
            world.airflow(f"/dags/{dag_id}/dagRuns?limit=1")["dag_runs"]
        for dag_id in PAUSABLE:
            world.airflow(f"/eventLogs?dag_id={dag_id}&limit=1")["event_logs"]
    except LookupError as error:
        yield warned(f"未检查 not looked at: {error}", _REST)
        return
    yield passed("运行与审计日志可读 runs and the audit log can be read")


def approvers(world: World) -> Iterator[Finding]:
    """Everybody who may approve exists, and there are two of them."""
    named = Approvers.parse(world.settings.approvers)
    if len(named.people) + 2 * len(named.roles) < 2:
        yield warned(
            f"只有一人 one person only: {named.people[0]}",
            f"申请人不能批准自己的请求：再加一人。Nobody approves an own request: name another. {_APPROVERS}",
        )
    manager = world.auth_manager
    if "SimpleAuthManager" in manager:
        users, roles = set(world.simple_users()), set[str]()
    elif "FabAuthManager" in manager:
        try:
            users = {one["username"] for one in world.airflow("/auth/fab/v1/users?limit=1000")["users"]}
            roles = {one["name"] for one in world.airflow("/auth/fab/v1/roles?limit=1000")["roles"]}
        except LookupError as error:
            yield warned(f"未检查 not looked at: {error}", _REST)
            return
    else:
        yield warned(
            f"{manager}: {world.settings.approvers}",
            "此认证管理器不列出用户：人工核对名称与 id。"
            "This auth manager lists no users: compare names and ids by hand.",
        )
        return
    unknown = [person.name for person in named.people if person.name not in users]
    unknown += [f"role:{role}" for role in named.roles if role not in roles]
    if unknown:
        yield failed(f"不存在 unknown: {', '.join(unknown)}", _APPROVERS)
    else:
        yield passed(world.settings.approvers)
    if "SimpleAuthManager" not in manager and (without := [one.name for one in named.people if one.id is None]):
        yield warned(
            f"没有 id no id: {', '.join(without)}",
            f"写成 name=id，Airflow 才能只让他们回答。Write name=id, or Airflow lets others answer. {_APPROVERS}",
        )


def folder(world: World) -> Iterator[Finding]:
    """Every worker that was asked can write where artifacts are, and all see the same place."""
    probes, place = world.folder_probes, world.settings.artifact("")
    if not probes:
        yield failed(f"{place}: 没有答复 no answer", _FOLDER)
        return
    for host, error in sorted({(probe.host, probe.error) for probe in probes if probe.error}):
        yield failed(f"{host}: {place}: {error}", _FOLDER)
    written = [probe for probe in probes if probe.token]
    unseen = sorted({probe.host for probe in written if not world.sees_probe(probe.token)})
    if unseen:
        yield failed(f"{place}: 各写各的 not the same place: {', '.join(unseen)}", _FOLDER)
    hosts = sorted({probe.host for probe in written})
    if not hosts or unseen:
        return
    if len(hosts) == 1 and "LocalExecutor" not in world.executor:
        yield warned(
            f"{place}: 只有 only {hosts[0]} ({world.executor})",
            "只有一个 worker 答复：都启动后触发 DAG preflight，并与实有的核对。"
            "One worker answered: trigger the DAG preflight when "
            "all run, and compare with those you have.",
        )
    else:
        yield passed(f"{place}: {', '.join(hosts)}")


def untouched(settings: Settings) -> dict[str, str]:
    """Return the settings that still point nowhere: name → value."""
    names = ("ui_base_url", "runbook_base_url", "mail_from", "draws_email", "points_email", "points_owner_address")
    found = {name: str(getattr(settings, name)) for name in names}
    return {name: value for name, value in found.items() if "example.com" in value or "localhost" in value}


def settings_of_deployment(world: World) -> Iterator[Finding]:
    """No setting is left at a default that does harm: dead links, mails to a foreign domain."""
    left = untouched(world.settings)
    if left:
        yield warned(
            "; ".join(f"DRAWSGUARD_{name.upper()} = {value}" for name, value in left.items()),
            "设为自己的地址：否则链接失效，清单会发到外部域名。"
            "Set your own addresses: links would be dead, and lists would be "
            "mailed to a foreign domain.",
        )
    else:
        yield passed("地址都已设置 all addresses are set")


#: Each is a part of its own: none needs the answer of another.
CHECKS = (
    Check(f"{PART}: settings", "settings", "设置 Settings", settings_of_deployment, ""),
    Check(f"{PART}: pools", "pools", "池 Pools", pools, _REST),
    Check(f"{PART}: history", "history", "运行与审计日志 Runs and audit log", history, _REST),
    Check(f"{PART}: approvers", "approvers", "审批人 Approvers", approvers, _APPROVERS),
    Check(f"{PART}: folder", "folder", "产物存放处 Artifacts", folder, _FOLDER),
)
