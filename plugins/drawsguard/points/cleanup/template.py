"""Storage templates: the name of a point's Redis keys or hash fields, with ``{variables}``.

``evt:{uid}:1024`` stands for ``evt:``, one or more bytes that a uid may hold, ``:1024``. Doubled braces are literal
braces (Redis Cluster hash tags). A template is used in three forms that must never disagree in the dangerous
direction: the glob sent to the server may match more than the template, the automaton that decides what is deleted
matches exactly the template, and the extended regular expression printed for a DBA says the same as the automaton.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

#: Bytes that mean something in a Redis glob outside a character class.
_GLOB_SPECIAL = re.compile(rb"([*?\[\]\\])")
#: Characters that mean something in a POSIX extended regular expression.
_ERE_SPECIAL = re.compile(r"([.\[\]\\*^$+?(){}|])")


class TemplateError(ValueError):
    """A storage template cannot be read; the message quotes it and says what is wrong."""


@dataclass(frozen=True)
class Variable:
    """One or more bytes of a class.

    :param name: the variable's name in the template.
    :param character_class: a bracket expression such as ``[^:]``.
    :param allowed: the class as a set of byte values, bit b set when byte b is allowed.
    """

    name: str
    character_class: str
    allowed: int


class VariableClasses:
    """Which bytes each variable may hold.

    :param classes: bracket expressions by variable name; ``default`` is for names not listed.
    :raises TemplateError: when ``default`` is missing, or an entry is not one bracket expression or allows no byte.
    """

    def __init__(self, classes: Mapping[str, str]) -> None:
        if "default" not in classes:
            raise TemplateError("Variable classes lack 'default'; add the class for variables that are not listed.")
        self._variables = {name: self._variable(name, text) for name, text in classes.items()}

    @staticmethod
    def _variable(name: str, character_class: str) -> Variable:
        if not re.fullmatch(r"\[\^?[^\[\]\\]+\]", character_class):
            raise TemplateError(
                f"Variable class {name}: {character_class!r} is not one bracket expression such as [^:] or [0-9]."
            )
        pattern = re.compile(character_class.encode(), re.DOTALL)
        allowed = sum(1 << byte for byte in range(256) if pattern.fullmatch(bytes([byte])))
        if not allowed:
            raise TemplateError(f"Variable class {name}: {character_class!r} allows no byte.")
        return Variable(name, character_class, allowed)

    def variable(self, name: str) -> Variable:
        """Return the variable called ``name``, of its own class or of the default one."""
        known = self._variables.get(name, self._variables["default"])
        return Variable(name, known.character_class, known.allowed)


@dataclass(frozen=True)
class Template:
    """A parsed template: literal bytes and variables in order. Make it with :func:`parse_template`."""

    text: str
    parts: tuple[bytes | Variable, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the template has no variable, so that it names exactly one key or field."""
        return not any(isinstance(part, Variable) for part in self.parts)

    @property
    def exact(self) -> bytes:
        """The one name of an exact template.

        :raises TemplateError: when the template has variables.
        """
        if not self.is_exact:
            raise TemplateError(f"Template {self.text!r} has variables and names no single key.")
        return b"".join(part for part in self.parts if isinstance(part, bytes))

    @property
    def literal_bytes(self) -> int:
        """How many bytes of a name the template fixes."""
        return sum(len(part) for part in self.parts if isinstance(part, bytes))

    @property
    def glob(self) -> bytes:
        """The Redis glob of the template; it matches everything the template matches, and perhaps more."""
        return b"".join(
            b"*" if isinstance(part, Variable) else _GLOB_SPECIAL.sub(rb"\\\1", part) for part in self.parts
        )

    @property
    def extended_regex(self) -> str:
        """The template as an anchored POSIX extended regular expression, for ``grep -E`` under ``LC_ALL=C``."""
        body = "".join(
            f"{part.character_class}+"
            if isinstance(part, Variable)
            else _ERE_SPECIAL.sub(r"\\\1", part.decode("utf-8"))
            for part in self.parts
        )
        return f"^{body}$"


def parse_template(text: str, classes: VariableClasses) -> Template:
    """Parse a storage template.

    :param text: e.g. ``evt:{uid}:1024``; ``{{`` and ``}}`` are literal braces.
    :param classes: which bytes each variable may hold.
    :raises TemplateError: empty text, unbalanced braces, or a variable without a plain name.
    """
    if not text:
        raise TemplateError("The storage template is empty; without a key nothing may be cleaned.")
    parts: list[bytes | Variable] = []
    try:
        for literal, name, spec, conversion in Formatter().parse(text):
            if literal:
                parts.append(literal.encode("utf-8"))
            if name is not None:
                parts.append(_variable(name, spec, conversion, classes))
    except ValueError as error:
        raise TemplateError(
            f"Storage template {text!r}: {error}; write variables as {{uid}} and literal braces doubled."
        ) from error
    return Template(text, tuple(parts))


def _variable(name: str, spec: str | None, conversion: str | None, classes: VariableClasses) -> Variable:
    if spec or conversion or not name.isidentifier():
        raise ValueError(f"{name!r} is not the name of a variable")
    return classes.variable(name)


def covering_glob(templates: list[Template]) -> bytes:
    """Return one glob that matches whatever any of the templates matches, as narrow as their common ends allow.

    :param templates: at least one template.
    """
    if len(templates) == 1:
        return templates[0].glob
    prefix = _common_prefix([_leading(template) for template in templates])
    suffix = _common_prefix([_trailing(template)[::-1] for template in templates])[::-1]
    shortest = min(_least_length(template) for template in templates)
    # A prefix and a suffix that overlap in an exact name would require a longer name than it is.
    suffix = suffix[max(0, len(prefix) + len(suffix) - shortest) :]
    return _GLOB_SPECIAL.sub(rb"\\\1", prefix) + b"*" + _GLOB_SPECIAL.sub(rb"\\\1", suffix)


def _leading(template: Template) -> bytes:
    first = template.parts[0]
    return first if isinstance(first, bytes) else b""


def _trailing(template: Template) -> bytes:
    last = template.parts[-1]
    return last if isinstance(last, bytes) else b""


def _least_length(template: Template) -> int:
    return sum(len(part) if isinstance(part, bytes) else 1 for part in template.parts)


def _common_prefix(values: list[bytes]) -> bytes:
    # The common prefix of all is that of the extremes.
    low, high = min(values), max(values)
    length = next((index for index, byte in enumerate(low) if byte != high[index]), len(low))
    return low[:length]
