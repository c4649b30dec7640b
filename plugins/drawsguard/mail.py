"""A mail: its subject, its page, and the page as plain text. Nothing here sends one (hooks/mail_hook.py does)."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from drawsguard.links import runbook_link
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.wording import one_line

#: What Python's table of media types lacks, or takes from the machine that it runs on.
_MEDIA_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".txt": "text/plain",
}
UNKNOWN_TYPE = "application/octet-stream"


def subject_line(text: str) -> str:
    """Return a subject on one line, with the prefix that every subject has: people filter by it."""
    return f"{get_settings().mail_subject_prefix} {one_line(text)}".strip()


def media_type(path: Path) -> str:
    """Return the media type of a file, by its name."""
    suffix = path.suffix.lower()
    return _MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix, UNKNOWN_TYPE)


@dataclass(frozen=True)
class Mail:
    """A mail to send.

    :param subject: with its prefix.
    :param html: a whole page.
    """

    subject: str
    html: str

    @property
    def text(self) -> str:
        """The page as plain text, for programs that show no HTML."""
        return plain_text(self.html)


def mail_of(template: str, /, **values: Any) -> Mail:
    """Return the mail of ``<template>.subject.txt`` and ``<template>.html`` in include/templates.

    The page may link to ``runbook(page)``, a function of the runbook's name.
    """
    settings = get_settings()
    subject = subject_line(render_template(f"{template}.subject.txt", **values))
    page = {"runbook": lambda name: runbook_link(name, settings), "ui": settings.ui_base_url} | values
    return Mail(subject, render_template(f"{template}.html", **page))


#: How a page holds a chart of ours (`drawsguard.charts`); every other text of a page is escaped, and begins no tag.
_PICTURE = re.compile(r'<img class="chart" src="data:image/png;base64,([A-Za-z0-9+/=]+)"')


def pictures_apart(html: str) -> tuple[str, dict[str, bytes]]:
    """Return the page with its pictures named by content id, and the pictures (PNG) by id.

    A browser shows pictures that stand in the page; most mail programs show only those that come as parts of the mail.
    """
    pictures: dict[str, bytes] = {}

    def named(found: re.Match[str]) -> str:
        picture = b64decode(found[1])
        # Unlike that of every other mail's picture: programs look for it in a whole conversation.
        name = f"{sha256(picture).hexdigest()[:32]}@drawsguard"
        pictures[name] = picture
        return f'<img class="chart" src="cid:{name}"'

    return _PICTURE.sub(named, html), pictures


_BLOCKS = frozenset({"p", "div", "h1", "h2", "h3", "ul", "ol", "table", "tr", "pre", "br", "li", "hr"})
_UNSEEN = frozenset({"head", "style", "script", "title"})


def plain_text(html: str) -> str:
    """Return a page of ours as plain text.

    A row of a table is a line, a link is followed by its address, a picture is its alternative text.
    """
    reader = _TextOf()
    reader.feed(html)
    reader.close()
    lines = [line.rstrip() for line in "".join(reader.parts).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _TextOf(HTMLParser):
    """Collects the text. A table for the layout (``role="presentation"``) has no cells, only lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = self._pre = 0
        self._tables: list[bool] = []
        self._cells = 0
        self._labelled = False
        self._link: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "img":
            self._break()
            self.parts.append(given.get("alt") or "")
            self._break(blank=True)
        elif tag == "table":
            self._tables.append(given.get("role") != "presentation")
            self._break()
        elif tag in ("td", "th") and self._tables and self._tables[-1]:
            if self._cells:
                self.parts.append(": " if self._labelled else " | ")
            self._labelled = given.get("scope") == "row"
            self._cells += 1
        elif tag == "a":
            self._link = given.get("href") or "", len(self.parts)
        elif tag in _BLOCKS:
            self._pre += tag == "pre"
            self._cells = 0 if tag == "tr" else self._cells
            self._break(blank=tag in ("h1", "h2", "h3", "table"))
            if tag == "li":
                self.parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen -= 1
        elif tag == "a" and self._link is not None:
            address, since = self._link
            if address and address != "".join(self.parts[since:]).strip():
                self.parts.append(f" {address}")
            self._link = None
        elif tag in _BLOCKS or (tag in ("td", "th") and self._tables and not self._tables[-1]):
            self._pre -= tag == "pre"
            if tag == "table" and self._tables:
                self._tables.pop()
            self._break(blank=tag in ("p", "h1", "h2", "h3", "table", "pre"))

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        text = data if self._pre else re.sub(r"\s+", " ", data)
        if self._pre or not self._at_line_start():
            self.parts.append(text)
        else:
            self.parts.append(text.lstrip())

    def _at_line_start(self) -> bool:
        return next((part[-1] == "\n" for part in reversed(self.parts) if part), True)

    def _break(self, *, blank: bool = False) -> None:
        if not self._at_line_start():
            self.parts.append("\n")
        if blank and not (self._tables and self._tables[-1]):
            self.parts.append("\n")
