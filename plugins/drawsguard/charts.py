"""Charts for mails and reports, as pictures inside the page: mail programs drop SVG and scripts and fetch nothing.

Each has its figures as alternative text, for screen readers and for the plain text part of a mail. Where no Chinese
font is installed, a bilingual label is drawn in its English half; the text around the picture has both. What is missing
(None, or no number) is a gap and a dash, never nought.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, wraps
from io import BytesIO
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, ParamSpec, SupportsFloat

from markupsafe import Markup, escape

from drawsguard.wording import number, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What fits a mail of 600 pixels, at two dots a pixel for sharp screens.
WIDTH, DOTS_PER_INCH, PIXELS_PER_INCH = 560, 200, 100
GOOD, BAD = "#4472c4", "#c0392b"
#: Of parts that are stacked: told apart in print and without seeing red or green.
PARTS = ("#4472c4", "#e0a030", "#7f8fa6", "#2a9d8f")
INK, FAINT = "#1f2933", "#d0d5dd"
#: In the file names of fonts with Chinese.
CHINESE = ("cjk", "wqy", "sourcehansans", "msyh", "pingfang", "simhei")
#: Bars of one picture; a report has all of them in its table.
MOST_BARS = 30
#: Characters of a label in a picture; the text beside it has all of them.
LONGEST_LABEL = 36
#: So many dates stand below a chart of days.
DATES = 6
#: Up to so many columns each have their value (a week touches eight days); beyond so many nothing is left between them.
FEW, MANY = 8, 60
NOTHING = Markup("<p>没有数据 No data.</p>")

Value = SupportsFloat | None
P = ParamSpec("P")
#: The library's settings are the process's.
_drawing = Lock()


def _with_our_look(draw: Callable[P, Markup]) -> Callable[P, Markup]:
    """Draw with our settings of the library, and with nobody else's."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Markup:
        # Half a second, and only tasks that write a report need it.
        from matplotlib import rc_context, rcdefaults, rcParams

        families = ["DejaVu Sans", *_chinese()]
        with _drawing, rc_context():
            rcdefaults()
            # A dollar sign begins no formula.
            rcParams.update({"font.size": 8, "font.family": families, "text.parse_math": False, "text.color": INK})
            return draw(*args, **kwargs)

    return drawn


@_with_our_look
def bars(
    points: Sequence[tuple[str, Value]],
    *,
    unit: str = "",
    ceiling: float | None = None,
    bad: Collection[str] = (),
) -> Markup:
    """Return a chart of horizontal bars.

    :param points: (label, value) pairs, drawn from top to bottom.
    :param unit: shown after each value.
    :param ceiling: value of a full bar; the largest one when not given.
    :param bad: labels of red bars; they are marked, too, for those who do not see red.
    """
    if not points:
        return NOTHING
    labels, values = [label for label, _ in points[:MOST_BARS]], [_figure(value) for _, value in points[:MOST_BARS]]
    missed = [label in bad for label in labels]
    shown = [_shown(value, unit, one) for value, one in zip(values, missed, strict=True)]
    picture, axes = _lying(labels, more=len(points) - MOST_BARS)
    axes.barh(range(len(labels)), [value or 0 for value in values], height=0.6, color=_colours(missed))
    _write_beside(axes, values, shown, ceiling)
    return _picture(picture, _words(labels, shown, len(points)))


@_with_our_look
def stacked(rows: Mapping[str, Mapping[str, Value]], parts: Mapping[str, str]) -> Markup:
    """Return a chart of horizontal bars of several parts each.

    :param rows: the values of each bar by part, from top to bottom.
    :param parts: what the parts are called, in their order.
    """
    if not rows:
        return NOTHING
    some = {label: [_figure(values[part]) for part in parts] for label, values in islice(rows.items(), MOST_BARS)}
    picture, axes = _lying(list(some), more=len(rows) - MOST_BARS, legend=True)
    ends = [0.0] * len(some)
    for place, part in enumerate(parts.values()):
        lengths = [max(values[place] or 0, 0) for values in some.values()]
        colour = PARTS[place % len(PARTS)]
        axes.barh(range(len(some)), lengths, left=ends, height=0.6, color=colour, label=_drawable(part))
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    _write_beside(axes, ends, [number(round(end, 3)) for end in ends], None)
    axes.legend(ncols=len(parts), loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
    shown = [
        ", ".join(f"{part} {_shown(value, '', False)}" for part, value in zip(parts.values(), values, strict=True))
        for values in some.values()
    ]
    return _picture(picture, _words(list(some), shown, len(rows)))


@_with_our_look
def columns(
    points: Sequence[tuple[object, Value]],
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
) -> Markup:
    """Return a chart of one column for each day or month, in the order of time.

    :param points: (day or month, value) pairs, without one left out.
    :param unit: shown after each value.
    :param least: a day with a lower value has a red column and a mark; drawn as a line.
    :param most: so has a day with a higher one.
    """
    labels, values = [str(label) for label, _ in points], [_figure(value) for _, value in points]
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    missed = [
        value is not None and ((least is not None and value < least) or (most is not None and value > most))
        for value in values
    ]
    lines = [line for line in (least, most) if line is not None]
    picture, axes = _empty(170)
    heights = [value or 0 for value in values]
    axes.bar(range(len(points)), heights, width=0.7 if len(points) <= MANY else 1, color=_colours(missed))
    axes.set_xlim(-0.6, max(len(points), FEW) - 0.4)
    # From nought, always: a cut axis makes a worse day look better than yesterday's.
    axes.set_ylim(min(0, *known), max([*known, *lines, 1e-9]) * 1.2)
    few = len(points) <= FEW
    for place, (value, height, one) in enumerate(zip(values, heights, missed, strict=True)):
        if few or (one and len(points) <= MANY):
            text, turned = _shown(value, "", one), 0 if few else 90
            axes.text(place, height, text, ha="center", va="bottom", rotation=turned, fontsize=7)
    step = -(-len(points) // DATES)
    axes.set_xticks(range(0, len(points), step), [_drawable(label) for label in labels[::step]])
    axes.tick_params(length=0, colors=INK)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: number(round(value, 3)))
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for line in lines:
        axes.axhline(line, color=INK, linewidth=0.8, linestyle="--")
    shown = [_shown(value, unit, one) for value, one in zip(values, missed, strict=True)]
    return _picture(picture, _words(labels, shown, len(points)))


def _figure(value: Value) -> float | None:
    """Return a value as a number, or None where it is none."""
    found = None if value is None else float(value)
    return found if found is not None and math.isfinite(found) else None


def _shown(value: float | None, unit: str, missed: bool) -> str:
    return "–" if value is None else f"{number(round(value, 3))}{unit}{' ×' if missed else ''}"


def _words(labels: Sequence[str], shown: Sequence[str], of: int) -> str:
    """Return the figures in words, and how many more there are."""
    words = [f"{one_line(label)}: {text}" for label, text in zip(labels, shown, strict=True)]
    return "; ".join([*words, _more(of - len(labels))] if of > len(labels) else words)


def _more(count: int) -> str:
    return f"… +{number(count)}"


def _colours(missed: Sequence[bool]) -> list[str]:
    return [BAD if one else GOOD for one in missed]


def _write_beside(axes: Axes, values: Sequence[float | None], texts: Sequence[str], ceiling: float | None) -> None:
    """Write the texts beside the bars, and leave room for them."""
    top = max([ceiling or 0, *(value for value in values if value is not None), 1e-9])
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.text(max(value or 0, 0) + top / 80, row, _drawable(text), va="center")
    axes.set_xlim(0, top * 1.18)


def _lying(labels: Sequence[str], *, more: int, legend: bool = False) -> tuple[Figure, Axes]:
    """Return an empty chart of lying bars, the first on top.

    :param more: how many bars are left out.
    """
    picture, axes = _empty(26 + 22 * (len(labels) + (more > 0) + legend))
    axes.set_yticks(range(len(labels)), [_drawable(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(length=0, colors=INK)
    if more > 0:
        axes.set_xlabel(_more(more), loc="left", color=INK)
    return picture, axes


def _empty(height: int) -> tuple[Figure, Axes]:
    """Return an empty chart of a height in pixels."""
    from matplotlib.figure import Figure

    picture = Figure((WIDTH / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=DOTS_PER_INCH, layout="constrained")
    axes = picture.add_subplot()
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(FAINT)
    return picture, axes


def _picture(picture: Figure, words: str) -> Markup:
    """Return the chart as an image with its figures in words."""
    written = BytesIO()
    # Without the name of the library the same figures are the same file.
    picture.savefig(written, format="png", metadata={"Software": None})
    source = f"data:image/png;base64,{b64encode(written.getvalue()).decode()}"
    # Everything that came from outside is escaped here.
    return Markup(  # noqa: S704
        f'<img class="chart" src="{source}" alt="{escape(words)}" width="{WIDTH}" '
        f'style="display: block; width: 100%; max-width: {WIDTH}px; height: auto; margin: 8px 0; border-radius: 4px">'
    )


def _drawable(text: str) -> str:
    """Return what of a label can be drawn, cut to what leaves room for the bars."""
    kept = "".join(character for character in text if _has_glyph(character)).strip(" :：·,，") or "?"
    return kept if len(kept) <= LONGEST_LABEL else f"{kept[: LONGEST_LABEL - 1]}…"


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    return character.isprintable() and any(font.get_char_index(ord(character)) for font in _fonts())


@lru_cache(maxsize=1)
def _chinese() -> tuple[str, ...]:
    """Return the family of a font with Chinese, if this machine has one."""
    from matplotlib import font_manager

    # The library keeps its list of fonts for ever: one that was installed since is not on it.
    found = [path for path in font_manager.findSystemFonts() if any(name in path.lower() for name in CHINESE)]
    for path in sorted(found, key=lambda path: ("regular" not in path.lower(), path))[:1]:
        font_manager.fontManager.addfont(path)
        return (font_manager.get_font(path).family_name,)
    return ()


@lru_cache(maxsize=1)
def _fonts() -> tuple[Any, ...]:
    from matplotlib import font_manager

    families = ["DejaVu Sans", *_chinese()]
    return tuple(font_manager.get_font(font_manager.findfont(family)) for family in families)
