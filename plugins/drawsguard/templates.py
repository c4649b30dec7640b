"""Texts that people read (mails, alerts, reports) live in ``include/templates``; this module fills them in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from drawsguard.settings import REPOSITORY

#: The folder that `render_template` reads from.
TEMPLATE_ROOT = REPOSITORY / "include" / "templates"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # The output is cached Jinja code, not text: values of one call never reach another.
    return Environment(
        loader=FileSystemLoader(TEMPLATE_ROOT),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_template(path: str, /, **values: Any) -> str:
    """Return the text of ``include/templates/<path>`` with ``values`` filled in; ``.html`` files are escaped.

    :raises jinja2.UndefinedError: when the template names a value that was not passed.
    :raises jinja2.TemplateNotFound: when there is no such file.
    """
    return _environment().get_template(path).render(values)
