"""Values stay values: none makes a heading, a link, a fence, a cell or a line, in any format; on the real templates."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markupsafe import Markup

from drawsguard.templates import TEMPLATE_ROOT, code, escape_markdown, fenced, indented, link, render_template
from drawsguard.wording import one_line

FORGED = "redis_evt_A\n\n# APPROVED\n"
ATTACKS = [
    FORGED, "a\r\n# APPROVED", "a\u2028# APPROVED", "# APPROVED", "a | b", "[APPROVED](https://evil.example)",
    "![x](https://evil.example/x.png)", "<h1>APPROVED</h1>", "<script>alert(1)</script>", "https://evil.example/APPROVED",
    "www.evil.example", "`code`", "```\n# APPROVED\n```", "**APPROVED**", "__APPROVED__", "_APPROVED_", "~~no~~",
    "- [x] APPROVED", "1. APPROVED", "> APPROVED", "=====", "-----", "&lt;h1&gt;", "<https://evil.example>", "a\\",
    "[a]: https://evil.example",
]  # fmt: skip


def html(markdown: str) -> str:
    """Return what a reader of GitHub's Markdown shows; addresses that stand in the text become links there."""
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


@pytest.mark.parametrize("value", ATTACKS)
def test_a_value_in_markdown_is_text(value: str) -> None:
    shown = html(f"{escape_markdown(value)}\n\n- cluster: {escape_markdown(value)}")
    assert set(re.findall(r"</?(\w+)", shown)) == {"p", "ul", "li"}
    assert re.search(r"(https?|mailto)://?\w|\bwww\.", shown) is None


@pytest.mark.parametrize("value", ATTACKS)
def test_a_value_in_a_table_stays_in_its_cell(value: str) -> None:
    shown = html(f"| a | b |\n|---|---|\n| {escape_markdown(value)} | {code(value)} |")
    assert set(re.findall(r"</?(\w+)", shown)) == {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert shown.count("<td") == 2
    assert shown.count("<tr") == 2


@pytest.mark.parametrize("value", [*ATTACKS, "````", "`", "a\n```\n# APPROVED\n````\n"])
def test_a_value_in_code_does_not_end_it(value: str) -> None:
    assert set(re.findall(r"</?(\w+)", html(f"x {code(value)} y"))) == {"p", "code"}
    assert set(re.findall(r"</?(\w+)", html(str(fenced(value, "diff"))))) == {"pre", "code"}


def test_a_link_leads_where_it_says_and_nowhere_else() -> None:
    address = "http://localhost:8080/dags/a/runs/manual__2025-10-03T01:05:00+00:00"
    assert f'<a href="{address}">' in html(str(link(address)))
    shown = html(str(link("http://localhost/x) [APPROVED](http://evil.example)\n# APPROVED <b>")))
    assert shown.count("<a ") == 1
    assert "<h1>" not in shown
    assert "<b>" not in shown


def test_numbers_and_names_of_tables_read_as_they_are() -> None:
    assert escape_markdown(-80) == "-80"
    assert escape_markdown("define_nosdata_general") == "define_nosdata_general"
    assert escape_markdown("2025-10-03 01:05:00 UTC") == "2025-10-03 01:05:00 UTC"
    assert escape_markdown(Markup("**meant**")) == "**meant**"


def test_further_lines_of_a_text_begin_no_line_of_the_message() -> None:
    assert indented("a\nPriority: P3\x07\r\nb") == "a\n  Priority: P3 \n  b"
    assert one_line("a\r\nBcc: b\x00c") == "a Bcc: b c"


# --- the real templates -----------------------------------------------------------------------------------------------


def downline_approval(cluster: str) -> str:
    total = {"total": 1, "by_cluster": {cluster: 1}, "by_table": {cluster: 1}}
    row = SimpleNamespace(table=cluster, row_id=cluster, old_status=cluster, last_modify_time=cluster)
    checksum = SimpleNamespace(rows=1, value=cluster)
    plan = SimpleNamespace(
        batch_id=cluster, environment="extranet", digest="d" * 64, rows=[1], pending=[1], differences=[1],
    )  # fmt: skip
    difference = SimpleNamespace(kind="point", row_id=7, table=cluster, reason=f"the extranet says {cluster}")
    return render_template(
        "points/downline/approval.md", plan=plan, counts={"points": total}, requester=cluster,
        role="execute", verb="下线 downline", samples=[row], differences=[difference], folder=f"/data/{cluster}",
        backups=[SimpleNamespace(table=cluster, place=cluster, checksum=checksum)], withdraws=[cluster],
        runbook="http://docs/points-downline.md", run_url="http://ui/dags/points_downline/runs/manual__1",
    )  # fmt: skip


def cleanup_approval(cluster: str) -> str:
    text = SimpleNamespace(text=cluster)
    structure = SimpleNamespace(eid=7, redis_type=cluster, key=text, field=text)
    ticket = SimpleNamespace(
        batch_id=cluster, ticket_id=f"b/{cluster}/own", digest="d" * 64, cluster=cluster, instances=[cluster],
        structures=[structure],
    )  # fmt: skip
    stored = SimpleNamespace(estimated_keys=1, estimated_bytes=None)
    return render_template(
        "points/cleanup/approval.md", ticket=ticket, stored=stored, requester=cluster,
        workbook=f"/data/{cluster}", shown=50, runbook="http://docs/points-cleanup.md",
        run_url="http://ui/dags/points_cleanup/runs/scheduled__1",
    )  # fmt: skip


def release_approval(cluster: str) -> str:
    batch = SimpleNamespace(batch_id=cluster, halted_at="2025-10-03", halted_reason=cluster, observe_until="2025-11-03")
    sign = SimpleNamespace(kind="use", oper_type=cluster, point_id=7, last_seen="2025-10-03", times=1)
    return render_template(
        "points/downline/release.md", batch=batch, digest="d" * 64, requester=cluster, reason=cluster, signs=[sign],
        shown=50, owners={7: cluster}, down=frozenset({7}), watch_days=2, runbook="http://docs/points-observe.md",
        run_url="http://ui/dags/points_release/runs/manual__1", missing=cluster,
    )  # fmt: skip


def cleanup_report(cluster: str) -> str:
    of_ticket = {"ticket_id": cluster, "points": 1, "approved_by": cluster, "digest": "d" * 64}
    tickets = [
        SimpleNamespace(state="done", executor="own", **of_ticket),
        SimpleNamespace(state="withdrawn", executor="dba", **of_ticket),
    ]
    point = SimpleNamespace(
        point_id=7, cluster=cluster, ticket_id=cluster, found=1, deleted=1, left=0, wrong_type=0, unconfirmed=2,
        reason=cluster,
    )  # fmt: skip
    of_cluster = SimpleNamespace(
        cluster=cluster, points=1, own=1, dba=0, without_ticket=0, found=1, deleted=1, left=0, wrong_type=0
    )
    memory = SimpleNamespace(ticket_id=cluster, instance=cluster, before=1, after=None)
    result = SimpleNamespace(
        batch_id=cluster, deleted=1, left=0, cleaned=1, outcome="split", split={7}, clusters=[of_cluster],
        tickets=tickets, points=[point], memory=[memory],
    )  # fmt: skip
    now = datetime(2025, 10, 3, tzinfo=UTC)
    done = {"detail": {"ticket": cluster, "note": cluster}, "actor": cluster, "at": now}
    approval = SimpleNamespace(responder=cluster, kind="approved", digest="d" * 64, recorded_at=now)
    return render_template(
        "points/cleanup/result.md", result=result, approvals=[approval], events=1, dba_done=[done],
        states={"done": "done", "withdrawn": "withdrawn"}, outcomes={"split": cluster}, run_url="http://ui/dags/points_cleanup/runs/manual__1",
    )  # fmt: skip


PAGES = [downline_approval, cleanup_approval, release_approval, cleanup_report]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "name", [*ATTACKS, "a`\n# APPROVED", "</table><h1>APPROVED</h1>", "=1+1", "-2", "\t-2", "|\r|"]
)
def test_no_value_forges_anything_on_an_approval_page_or_a_report(page: Any, name: str) -> None:
    """Every text of the page is hostile at once: batch, cluster, table, reason, person, key, note."""

    def outline(text: str) -> list[str]:
        return re.findall(r"</?(\w+)", html(page(text)))

    assert outline(name) == outline("redis_evt_A")
    headings = [line for line in page("redis_evt_A").splitlines() if line.lstrip().startswith("#")]
    assert len([line for line in page(name).splitlines() if line.lstrip().startswith("#")]) == len(headings)


def test_subjects_and_messages_have_one_line_for_a_value() -> None:
    subject = render_template("points/cleanup/tickets.subject.txt", batch_id="b\nBcc: evil@attacker.example")
    assert subject.strip() == "积分清理工单 cleanup tickets b Bcc: evil@attacker.example"


def test_html_is_escaped() -> None:
    body = render_template("points/cleanup/notice.html", **notice("<b>APPROVED</b>"))
    assert "&lt;b&gt;APPROVED&lt;/b&gt;" in body


def notice(name: str) -> dict[str, Any]:
    point = SimpleNamespace(point_id=7, owner=name, cluster=name, description=name)
    return {
        "notice": SimpleNamespace(points=[point], days_before=7, owner=name), "batch_id": name,
        "until": datetime(2025, 10, 3, tzinfo=UTC),
        "runbook": lambda page: f"http://docs/{page}", "ui": "http://ui", "team": "team@example.com",
    }  # fmt: skip


def test_no_template_puts_a_value_between_backticks() -> None:
    found = [
        f"{path.relative_to(TEMPLATE_ROOT)}: {line}"
        for path in TEMPLATE_ROOT.rglob("*.md")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"`|\]\(\{\{", re.sub(r"`[^`{]*`", "", line))
    ]
    assert found == [], "use the filters code and link: a backslash escapes nothing in a code span"
