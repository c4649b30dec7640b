"""The styles of an .xlsx file, as far as they decide whether a cell is seen as it is."""

from __future__ import annotations

import re

from drawsguard.points.review.workbook_package import COPY_AGAIN, WorkbookFileError

#: The namespace of sheets, styles and strings.
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

#: Number formats that show a number or a text as it is: General, 0, 0.00, #,##0, #,##0.00, @; and their numbers.
_PLAIN_FORMATS = frozenset({"general", "0", "0.00", "#,##0", "#,##0.00", "@"})
_PLAIN_FORMAT_IDS = frozenset({0, 1, 2, 3, 4, 49})
#: Below this (points) nobody reads anything.
_SMALLEST = 3.0
#: Colours whose channels differ by less than this in sum are not told apart; with such a sum of its own one is light.
_SAME_COLOUR, _LIGHT = 48, 640
HIDDEN_RUN = "a part of its text has a light colour, or is too small to be seen; format the cell as a whole"
STRUCK = "its text is struck through; remove the line, or write what is meant"
#: A number as parts of a workbook write it.
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Styles:
    """The styles of cells, as far as they decide what is seen."""

    def __init__(self) -> None:
        self._section = self._pattern = ""
        self._formats: dict[int, str] = {}
        self._fonts: list[dict[str, str]] = []
        self._fills: list[list[str]] = []
        self._cells: list[tuple[int, int, int]] = []

    def start(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        name = tag.removeprefix(f"{MAIN} ")
        if depth == 2:
            self._section = name
        elif self._section == "numFmts" and name == "numFmt":
            self._formats[as_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif self._section == "fonts":
            self._font(name, attributes, depth)
        elif self._section == "fills":
            self._fill(name, attributes, depth)
        elif self._section == "cellXfs" and name == "xf" and depth == 3:
            self._cells.append(
                (
                    as_number(attributes.get("numFmtId")),
                    as_number(attributes.get("fontId")),
                    as_number(attributes.get("fillId")),
                )
            )

    def _font(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3:
            self._fonts.append({"color": "000000"})
        elif self._fonts and name == "color":
            self._fonts[-1]["color"] = _color(attributes, "000000")
        elif self._fonts and name == "sz":
            self._fonts[-1]["size"] = attributes.get("val", "11")
        elif self._fonts and is_struck(name, attributes):
            self._fonts[-1]["strike"] = "1"

    def _fill(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3:
            self._fills.append([])
            self._pattern = "none"
        elif self._fills and name == "patternFill":
            self._pattern = attributes.get("patternType", "none")
        elif self._fills and name == "gradientFill":
            self._pattern = "gradient"
        elif name in {"none": (), "solid": ("fgColor",)}.get(self._pattern, ("fgColor", "bgColor", "color")):
            self._fills[-1].append(_color(attributes, "000000"))

    def unlike(self) -> list[str]:
        found = []
        for number, font, fill in self._cells:
            if font >= max(len(self._fonts), 1) or fill >= max(len(self._fills), 1):
                raise WorkbookFileError(f"the part of the styles names a font or fill that is missing; {COPY_AGAIN}")
            code = self._formats.get(number)
            shown = self._fonts[font] if self._fonts else {}
            if (code.casefold() not in _PLAIN_FORMATS) if code is not None else number not in _PLAIN_FORMAT_IDS:
                found.append(f"its number format {code or number!r} shows something else; set it to General")
            elif shown and any(_alike(shown["color"], color) for color in self._backgrounds(fill)):
                found.append("its text has the colour of its background; make it visible")
            elif (as_float(shown.get("size")) or 11) < _SMALLEST:
                found.append("its text is too small to be seen; make it visible")
            elif "strike" in shown:
                found.append(STRUCK)
            else:
                found.append("")
        return found

    def _backgrounds(self, fill: int) -> list[str]:
        return (self._fills[fill] if self._fills else []) or ["FFFFFF"]


def unlike_run(name: str, attributes: dict[str, str]) -> str:
    """Return why a part of a text with this property is shown otherwise than it is; empty: it is not."""
    if name == "color":
        color = _channels(_color(attributes, "000000"))
        return HIDDEN_RUN if color and sum(color) >= _LIGHT else ""
    if name == "sz":
        return HIDDEN_RUN if (as_float(attributes.get("val")) or 11) < _SMALLEST else ""
    return STRUCK if is_struck(name, attributes) else ""


def is_struck(name: str, attributes: dict[str, str]) -> bool:
    """Return whether a property strikes a text through."""
    return name == "strike" and attributes.get("val", "1") not in ("0", "false")


def as_number(text: str | None) -> int:
    """Return a count or an index of the styles; what is missing or no number is 0, the default."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else 0


def as_float(text: str | None) -> float | None:
    """Return a number; None for what is missing or none."""
    return float(text) if text and len(text) < 40 and NUMBER.fullmatch(text) else None


def _color(attributes: dict[str, str], default: str) -> str:
    """Return a colour as six digits, or as the name of one of the theme; white and black are the same in both."""
    if "rgb" in attributes:
        return attributes["rgb"][-6:].upper()
    if "theme" in attributes:
        tint = as_float(attributes.get("tint")) or 0.0
        if attributes["theme"] in ("0", "1"):  # white, which a tint darkens, and black, which it brightens
            light = 1 + max(-1.0, min(tint, 0.0)) if attributes["theme"] == "0" else min(1.0, max(tint, 0.0))
            return f"{round(255 * light):02X}" * 3
        return f"theme {attributes['theme']} {attributes.get('tint', '')}"
    if "indexed" in attributes:
        palette = {"0": "000000", "8": "000000", "64": "000000", "1": "FFFFFF", "9": "FFFFFF", "65": "FFFFFF"}
        return palette.get(attributes["indexed"], f"indexed {attributes['indexed']}")
    return default


def _channels(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color)) if re.fullmatch(r"[0-9A-F]{6}", color) else ()


def _alike(one: str, other: str) -> bool:
    first, second = _channels(one), _channels(other)
    if first and second:
        return sum(abs(a - b) for a, b in zip(first, second, strict=True)) < _SAME_COLOUR
    return one == other
