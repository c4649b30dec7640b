"""Every mail and report: one look, what an operator needs in its first lines, and nothing in a name is markup."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from email import message_from_string, policy
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock

import apprise
import pytest

from drawsguard.alerts.message import Text
from drawsguard.alerts.state import Message
from drawsguard.mail import media_type, plain_text
from drawsguard.monitoring.inspection import LABELS, _table
from drawsguard.points.downline.observe import restore_requests
from drawsguard.points.environments import Environment
from drawsguard.settings import get_settings
from drawsguard.templates import TEMPLATE_ROOT
from hooks.alert_delivery_hook import AlertDeliveryHook, _addressed
from hooks.mail_hook import MailHook
from tests.unit.notifiers.every_mail import MAILS, alert_text, incident, use_after_downline

HARMLESS = "redis_evt_A"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src="http://evil.example/x.png" onerror="alert(1)">',
    "</td></tr></table><h1>APPROVED</h1>",
    "[APPROVED](http://evil.example) **x** `y`",
    "a\r\nBcc: evil@attacker.example\n\n# APPROVED\n\n- b",
]
#: What must say all seven things in its first lines.
CALLING = ["alerts/firing", "alerts/firing (escalation)", "mail/task_failure", "mail/sla_miss"]
FIRST_LINES = ["发生了什么", "严重程度", "开始", "影响", "会自愈吗", "现在", "第一步"]


def outline(page: str) -> list[str]:
    """Return the elements of a page without those that mark up a text or break its line."""
    return [tag for tag in re.findall(r"<(/?\w+)", page) if tag not in ("br", "p", "/p")]


def test_there_is_a_sample_of_every_page() -> None:
    pages = {path.relative_to(TEMPLATE_ROOT).with_suffix("").as_posix() for path in TEMPLATE_ROOT.rglob("*.html")}
    mails = {page for page in pages if not page.startswith("pages/")}  # those of the operations pages are no mails
    assert {name.split(" ")[0] for name in MAILS} == mails - {"base", "parts"}


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_is_text(name: str, hostile: str) -> None:
    mail = MAILS[name](hostile)
    assert outline(mail.html) == outline(MAILS[name](HARMLESS).html)
    assert "evil.example" not in " ".join(re.findall(r'(?:href|src)="([^"]*)"', mail.html))
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject


@pytest.mark.parametrize("name", MAILS)
def test_every_mail_has_one_look_and_says_first_what_happened(name: str) -> None:
    mail = MAILS[name](HARMLESS)
    assert mail.subject.startswith("[drawsguard] ")
    lines = [line for line in mail.text.splitlines() if line]
    assert lines[2].startswith("发生了什么 What happened: "), "after the title in both languages"
    assert re.search(r"[\u4e00-\u9fff]", lines[0]), "Chinese first"
    assert not re.search(r"\bCST\b|\bUTC\b|\+00:00|\+08:00", mail.subject + mail.html)
    assert "{{" not in mail.html
    assert "max-width: 600px" in mail.html or name.startswith(("reports/", "points/review/owner"))


@pytest.mark.parametrize("name", MAILS)
def test_every_link_leads_to_an_address_of_the_settings(name: str) -> None:
    settings = get_settings()
    known = (settings.ui_base_url, settings.runbook_base_url, "https://docs.example/runbooks/", "http://ui/")
    links = re.findall(r'href="([^"]*)"', MAILS[name](HARMLESS).html)
    assert [link for link in links if not link.startswith(known)] == []
    if name != "alerts/bundle":  # its alerts have theirs in their texts
        assert any("/runbooks/" in link for link in links), "a way to the runbook"


@pytest.mark.parametrize("name", CALLING)
def test_what_calls_people_says_all_they_need_in_this_order(name: str) -> None:
    text = MAILS[name](HARMLESS).text
    places = [text.find(f"\n{label}") for label in FIRST_LINES]
    assert -1 not in places
    assert places == sorted(places)
    assert "立即处理。Act now." in text


def test_a_title_says_what_where_and_how_bad_in_words() -> None:
    titles = {name: alert_text(Message.FIRING, name).title for name in ("collector", "data-sync-service")}
    assert titles["collector"] == (
        "[P0] 身份（OIDC）检查未通过：collector，立即处理 · An identity (OIDC) check failed: collector, act now"
    )
    assert len(set(titles.values())) == 2, "alerts of two services have two titles"
    task = alert_text(Message.FIRING, "draw_sync.verify", "task:").title
    assert task == "[P0] 任务失败：draw_sync.verify，立即处理 · Task failed: draw_sync.verify, act now"


def test_a_reminder_says_since_when_nobody_acted_and_who_else_was_called() -> None:
    text = alert_text(Message.ESCALATION, "draw_sync.verify", "task:")
    assert text.title.startswith("[P0] 升级：任务失败")
    assert "已 1 小时 5 分钟" in text.body
    assert "第二接收人" in text.body
    assert text.escalated


def test_the_text_of_an_alert_has_its_links() -> None:
    body = alert_text(Message.FIRING, "draw_sync.verify", "task:").body
    for part in ("/zh/task-failed.md", "/runs/manual__1/tasks/verify", "alert_acknowledge", "alert_mute", "自愈"):
        assert part in body, part


def test_line_breaks_of_an_alert_stay_in_its_mail() -> None:
    page = alert_text(Message.FIRING, "redis_evt_A").html
    assert "white-space: pre-line" in page
    assert "redis_evt_A\nsecond line" in page


def test_an_incident_is_rendered_and_counts_nothing_that_was_not_done() -> None:
    mail = MAILS["mail/incident"](HARMLESS)
    for part in ("<h2 style", "<table style", "1,200", "1 分钟 15 秒"):
        assert part in mail.html, part
    assert "## " not in mail.html
    nothing = incident(HARMLESS, repaired=0, left=3)
    assert "none repaired yet" in nothing.subject
    assert "none was repaired yet" in nothing.text
    assert " 0 repaired" not in nothing.subject + nothing.text


def test_the_parameters_to_restore_are_complete_for_each_environment() -> None:
    page = use_after_downline("b1", 300).html
    requests = [json.loads(found) for found in re.findall(r"<pre[^>]*>(\{.*?\})</pre>", page)]
    assert [request["environment"] for request in requests] == ["intranet", "extranet"]
    assert [request["ids"] for request in requests] == [list(range(1, 301))] * 2
    assert {request["dry_run"] for request in requests} == {False}


def test_a_point_is_restored_where_it_is_downlined() -> None:
    down: dict[Environment, frozenset[int]] = {"intranet": frozenset({4, 5}), "extranet": frozenset({4, 9})}
    found = restore_requests("b1", down, [4, 5, 6])
    assert {request["environment"]: request["ids"] for request in found} == {"intranet": [4, 5], "extranet": [4]}
    assert [request["environment"] for request in restore_requests("b1", down, [5])] == ["intranet"]


def test_every_column_of_a_report_has_a_label_in_words() -> None:
    assert [name for name, label in LABELS.items() if name == label] == []
    with pytest.raises(KeyError, match="raw_name"):
        _table([{"raw_name": 1}])


# --- the message that is sent -----------------------------------------------------------------------------------------


def built(page: str, files: Sequence[Path] = (), **headers: str) -> EmailMessage:
    """Return a mail as its receiver reads it."""
    hook = MailHook()
    message, _ = hook._build_mime_message("a@example.com", ["b@example.com"], "[drawsguard] 主题 <b>", page,
                                          files=[str(path) for path in files], custom_headers=headers)  # fmt: skip
    sent = message.as_string()
    assert sent.isascii(), "smtplib sends nothing else"
    read = message_from_string(sent, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def test_a_mail_has_a_plain_text_part_beside_the_page() -> None:
    page = MAILS["alerts/firing"](HARMLESS).html
    mail = built(page, **{"Reply-To": "team@example.com"})
    plain, html = mail.get_body(["plain"]), mail.get_body(["html"])
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == plain_text(page).splitlines()
    assert html.get_content().splitlines() == page.splitlines()
    assert mail["Subject"] == "[drawsguard] 主题 <b>"
    assert mail["Reply-To"] == "team@example.com"


@pytest.mark.parametrize("name", ["reports/inspection", "points/review/usage_report", "points/cleanup/lifetime"])
def test_charts_are_parts_of_the_mail_and_say_their_figures_as_text(name: str) -> None:
    page = MAILS[name](HARMLESS).html
    charts = re.findall(r"<img [^>]*>", page)
    assert charts, "the kept report holds them itself"
    mail = built(page)
    html, plain = mail.get_body(["html"]), mail.get_body(["plain"])
    assert html is not None
    assert plain is not None
    shown = re.findall(r'src="cid:([^"]+)"', html.get_content())
    pictures = {part["Content-ID"]: part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert [f"<{one}>" for one in shown] == list(pictures)
    assert len(shown) == len(charts) == html.get_content().count('alt="')
    assert all(part.get_content().startswith(b"\x89PNG") for part in pictures.values())
    assert "data:image" not in mail.as_string()
    assert list(mail.iter_attachments()) == [], "a picture is no attachment"
    for chart in charts:
        (words,) = re.findall(r'alt="([^"]+)"', chart)
        assert unescape(words) in " ".join(plain.get_content().split())


def test_only_a_picture_of_ours_becomes_a_part() -> None:
    mail = built(MAILS["mail/task_failure"]('" src="data:image/png;base64,AAAA"').html)
    assert [part.get_content_type() for part in mail.walk() if part.get_content_maintype() == "image"] == []


def test_attachments_have_their_media_type_and_name(tmp_path: Path) -> None:
    types = {
        "积分清理结果-b1.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "daily.html": "text/html",
        "rows.csv": "text/csv",
        "result.md": "text/markdown",
        "audit.jsonl": "application/jsonl",
        "x.unknown": "application/octet-stream",
    }
    for name in types:
        (tmp_path / name).write_text("内容", encoding="utf-8")
    mail = built("<p>x</p>", [tmp_path / name for name in types])
    assert {part.get_filename(): part.get_content_type() for part in mail.iter_attachments()} == types
    assert mail.get_content_type() == "multipart/mixed"
    assert [media_type(Path(name)) for name in types] == list(types.values())


def sent_by(address: str, text: Text) -> list[dict[str, Any]]:
    """Return what the hook passes to a channel."""
    channel = apprise.Apprise.instantiate(address)
    hook = AlertDeliveryHook("apprise_default")
    with (
        mock.patch.object(hook, "_entries", return_value=[{"path": address}]),
        mock.patch.object(type(channel), "notify", return_value=True) as notify,
    ):
        hook.send(text)
    return [call.kwargs for call in notify.call_args_list]


def test_each_channel_gets_what_it_can_show() -> None:
    text = alert_text(Message.FIRING, "<class 'x'> & _y_")
    (mail,) = sent_by("mailto://user:secret@example.com", text)
    assert mail["title"].startswith("[drawsguard] [P0] ")
    assert mail["body"] == text.html
    assert mail["body_format"] == apprise.NotifyFormat.HTML
    (chat,) = sent_by("json://localhost", text)
    assert (chat["title"], chat["body"], chat["body_format"]) == (text.title, text.body, apprise.NotifyFormat.TEXT)


@pytest.mark.parametrize(
    ("escalated", "tags", "addressed"),
    [
        (False, {"escalation"}, False),
        (True, {"escalation"}, True),
        (True, {"escalation", "team:points"}, False),
        (True, {"P0"}, True),
        (False, {"P0"}, True),
    ],
)
def test_the_second_recipient_gets_only_what_is_escalated(escalated: bool, tags: set[str], addressed: bool) -> None:
    text = alert_text(Message.ESCALATION if escalated else Message.FIRING, "draw_sync.verify", "task:")
    assert _addressed(text, tags) is addressed
