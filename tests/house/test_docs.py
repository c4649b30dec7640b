"""The index lists every document, and links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drawsguard.settings import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [*sorted(REPOSITORY.glob("[A-Z]*.md")), *sorted(DOCS.glob("*.md"))]

#: Documents and code say repair, rebuild or again, release, reject, notify instead.
UNIDIOMATIC = re.compile(r"\b(mend(s|ed|ing)?|anew|let go|is no letter|put aside|whom to tell|desk)\b", re.IGNORECASE)

#: Where people read code, statements, configuration and templates.
CODE = ("benchmarks", "dags", "include", "local", "plugins", "tests")
SUFFIXES = (".py", ".sql", ".yaml", ".html", ".md", ".txt")


def targets(page: Path) -> list[str]:
    """Return the local files that a page links to, without their anchors."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    return [target.split("#")[0] for target in found if "://" not in target and not target.startswith("#")]


def unidiomatic(text: str) -> list[str]:
    """Return the words of a text that have a plainer or more usual one."""
    return [match.group() for match in UNIDIOMATIC.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in targets(page) if not (page.parent / target).exists()] == []


def test_the_index_lists_every_document() -> None:
    listed = {(DOCS / target).resolve() for target in targets(DOCS / "README.md")}
    documents = {path for path in DOCS.glob("*.md") if path.name != "README.md"}
    documents |= {DOCS / "runbooks" / language / "index.md" for language in ("en", "zh")}
    assert sorted(path.name for path in documents - listed) == []


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((DOCS / "runbooks" / "en").glob("*.md"))],
    ids=lambda page: f"{page.parent.name}/{page.name}",
)
def test_documents_use_plain_words(page: Path) -> None:
    assert unidiomatic(page.read_text("utf-8")) == []


def test_code_uses_plain_words() -> None:
    files = [
        path
        for folder in CODE
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in SUFFIXES and path != Path(__file__)
    ]
    assert len(files) > 500
    found = {str(path.relative_to(REPOSITORY)): unidiomatic(path.read_text("utf-8")) for path in files}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("text", ["Mend the cause", "is made anew", "Whom to tell", "records put aside"])
def test_an_unidiomatic_word_is_found(text: str) -> None:
    assert len(unidiomatic(text)) == 1
    assert unidiomatic("Repair the recommended cause; let it go on.") == []
