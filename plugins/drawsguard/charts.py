"""Small bar charts as HTML tables: mail programs drop SVG and scripts, and a mail needs no image server for them.

Each chart has its figures as alternative text, for screen readers and for the plain text part of a mail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from drawsguard.wording import number

#: Length of a full bar (pixels): with label and value it fits a mail of 600.
ROOM = 260
GOOD, BAD = "#4472c4", "#c0392b"


def bars(
    points: Sequence[tuple[str, float]],
    *,
    unit: str = "",
    ceiling: float | None = None,
    floor: float = 0,
    bad: Callable[[float], bool] | None = None,
) -> Markup:
    """Return a horizontal bar chart.

    :param points: (label, value) pairs, drawn from top to bottom.
    :param unit: shown after each value.
    :param ceiling: value of a full bar; the largest one when not given.
    :param floor: value at which bars begin.
    :param bad: which values miss their objective: their bars are red, and marked for those who do not see red.
    """
    if not points:
        return Markup("<p>没有数据 No data.</p>")
    top = max(ceiling if ceiling is not None else max(value for _, value in points), floor + 1e-9)
    lines, words = [], []
    for label, value in points:
        missed = bad is not None and bad(value)
        shown = f"{number(round(value, 3))}{unit}{' ✗' if missed else ''}"
        length = round(max(0.0, min(1.0, (value - floor) / (top - floor))) * ROOM)
        bar = (
            f'<td width="{length}" height="14" bgcolor="{BAD if missed else GOOD}" class="bar"></td>' if length else ""
        )
        lines.append(
            '<tr><td style="text-align: right; padding: 2px 8px 2px 0; font-size: 12px; vertical-align: middle">'
            f"{escape(label)}</td>"
            f'<td style="padding: 2px 0"><table cellspacing="0" cellpadding="0"><tr>{bar}'
            f'<td style="font-size: 12px; white-space: nowrap">&nbsp;{escape(shown)}</td></tr></table></td></tr>'
        )
        words.append(f"{label}: {shown}")
    # Everything that came from outside is escaped above.
    return Markup(  # noqa: S704
        f'<table class="chart" role="img" aria-label="{escape("; ".join(words))}" cellspacing="0" cellpadding="0" '
        f'style="margin: 8px 0">{"".join(lines)}</table>'
    )
