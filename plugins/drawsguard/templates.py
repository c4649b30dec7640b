"""Texts that people read (mails, alerts, reports) live in ``include/templates``; this module fills them in.

Every value is escaped for the format of the file, so that none can make a heading, a link, a code fence, a table cell
or a line of its own: ``.html`` as HTML, ``.md`` as Markdown (as GitHub and Airflow's approval page read it), ``.txt``
(messages and subjects) as text on one line. What is meant to be markup says so in the template by a filter:

- ``.md``: ``code`` (a code span), ``link`` (an address to click on), ``fenced`` (a code block);
- ``.txt``: ``indented`` (keeps its line breaks; further lines are indented, so they begin no line of the message),
  ``composed`` (a text that a template of ours made before);
- ``.html``: ``markdown`` (a report of ours in Markdown, rendered; HTML in it stays text);
- anywhere: a `markupsafe.Markup`, which is markup already.

Numbers, times and durations have filters of their own in every format: `drawsguard.wording`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from numbers import Number
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from drawsguard.charts import bars, columns, stacked
from drawsguard.settings import INCLUDE
from drawsguard.wording import DIRECTION, FILTERS, URGENCIES, one_line, span

#: The folder that `render_template` reads from.
TEMPLATE_ROOT = INCLUDE / "templates"

#: Control characters that no text needs, but line breaks.
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{DIRECTION}]+")
_ASCII_MARKUP = re.compile(r"([\\`*\[\]<>|~#])")
#: An underscore inside a word is no markup, and most of ours are in the names of tables.
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: At the beginning of a value, which may be the beginning of a line: lists, rules and underlines of headings.
_BLOCK_START = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-+=])")
#: Addresses that Markdown would link by itself.
_BARE_LINK = re.compile(r"(https?:|ftp:|mailto:|xmpp:)(?=/|\w)|\b(www)(?=\.)", re.IGNORECASE)
#: It has no width and joins what it stands between; an address with one in it is no address.
_WORD_JOINER = "\u2060"


def escape_markdown(value: object) -> Markup:
    """Return ``value`` as a text in a line of Markdown, in which nothing is markup."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Number):
        return _markup(str(value))
    text = one_line(value).replace("&", "&amp;")
    text = _UNDERSCORE.sub(r"\\_", _ASCII_MARKUP.sub(r"\\\1", text))
    text = _BLOCK_START.sub(r"\1\\\2", text)
    return _markup(_BARE_LINK.sub(lambda found: found[0] + _WORD_JOINER, text))


def code(value: object) -> Markup:
    """Return ``value`` as a Markdown code span; a pipe in it stays in its table cell."""
    text = one_line(value).replace("|", "\\|")
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if "`" in text or not text else ""
    return _markup(f"{fence}{pad}{text or ' '}{pad}{fence}")


def fenced(value: object, language: str = "") -> Markup:
    """Return ``value`` as a Markdown code block; its line breaks stay, and no line of it ends the block."""
    text = _CONTROLS.sub(" ", str(value).replace("\r\n", "\n"))
    fence = "`" * max(3, _longest_run(text) + 1)
    return _markup(f"{fence}{language}\n{text}\n{fence}")


def link(address: object) -> Markup:
    """Return an address as a Markdown link to itself."""
    target = quote(one_line(address), safe=":/?#@!$&'*+,;=%-._~")
    return _markup(f"[{escape_markdown(target)}](<{target}>)")


def indented(value: object) -> Markup:
    """Return a text of several lines; all but the first are indented."""
    lines = [_CONTROLS.sub(" ", line) for line in str(value).splitlines()]
    return _markup("\n  ".join(lines))


#: Mail programs ignore style sheets: what a rendered report looks like stands at each element.
_CELL = "padding: 6px 8px; border-bottom: 1px solid #d8dee6; vertical-align: top; font-size: 13px"
_STYLES = {
    "table": "border-collapse: collapse; margin: 8px 0; width: 100%",
    "th": f"{_CELL}; text-align: left; background: #eef2f7; color: #1f2933",
    "td": _CELL,
    "h1": "font-size: 18px; margin: 20px 0 8px",
    "h2": "font-size: 16px; margin: 20px 0 8px",
    "h3": "font-size: 14px; margin: 16px 0 6px",
    "p": "margin: 8px 0; line-height: 1.6",
    "li": "margin: 4px 0; line-height: 1.6",
}


def markdown(text: str) -> Markup:
    """Return Markdown as HTML with its styles inlined; tags in it stay text, and only web addresses become links."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.nesting == 1 and token.tag in _STYLES:
            token.attrJoin("style", f";{_STYLES[token.tag]}" if token.attrGet("style") else _STYLES[token.tag])
            if token.tag == "th":
                token.attrSet("class", "head")  # base.html darkens it
    return _markup(parser.renderer.render(tokens, parser.options, {}))


def _markup(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - the caller has escaped it, for the format of its file


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _plain(value: object) -> str:
    return value if isinstance(value, Markup) else one_line(value)


def _as_written(value: object) -> object:
    return _CONTROLS.sub(" ", value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment_of(suffix: str) -> Environment:
    finalize: Callable[[Any], Any] | None = {
        ".md": escape_markdown, ".txt": _plain, ".html": _as_written
    }.get(suffix)  # fmt: skip
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_ROOT),
        autoescape=select_autoescape(disabled_extensions=("md", "txt"), default=True),  # anything else is HTML
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(span=span, urgencies=URGENCIES)
    if suffix == ".html":
        environment.filters.update(markdown=markdown)
        environment.globals.update(bars=bars, columns=columns, stacked=stacked)
    elif suffix == ".md":
        environment.filters.update(code=code, fenced=fenced, link=link)
    elif suffix == ".txt":
        environment.filters.update(indented=indented, composed=Markup)
    return environment


# The output is cached Jinja code, not text: values of one call never reach another.
_environment = lru_cache(maxsize=8)(_environment_of)


def render_template(path: str, /, **values: Any) -> str:
    """Return the text of ``include/templates/<path>`` with ``values`` filled in and escaped for its format.

    :raises jinja2.UndefinedError: when the template names a value that was not passed.
    :raises jinja2.TemplateNotFound: when there is no such file.
    """
    return str(_environment(PurePath(path).suffix).get_template(path).render(values))
