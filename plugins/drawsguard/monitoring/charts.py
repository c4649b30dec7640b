"""Small bar charts as HTML tables: mail programs drop SVG and scripts, and a mail needs no image server for them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

#: Length of a full bar (pixels).
ROOM = 360


def bars(
    points: Sequence[tuple[str, float]], *, unit: str = "", ceiling: float | None = None, floor: float = 0
) -> Markup:
    """Return a horizontal bar chart.

    :param points: (label, value) pairs, drawn from top to bottom.
    :param unit: shown after each value.
    :param ceiling: value of a full bar; the largest one when not given.
    :param floor: value at which bars begin.
    """
    if not points:
        return Markup("<p>没有数据 No data.</p>")
    top = max(ceiling if ceiling is not None else max(value for _, value in points), floor + 1e-9)
    lines = []
    for label, value in points:
        length = round(max(0.0, min(1.0, (value - floor) / (top - floor))) * ROOM)
        bar = f'<td width="{length}" height="16" bgcolor="#4472c4"></td>' if length else ""
        lines.append(
            f'<tr><td align="right">{escape(label)}</td><td><table cellspacing="0" cellpadding="0"><tr>{bar}'
            f"<td>&nbsp;{value:g}{escape(unit)}</td></tr></table></td></tr>"
        )
    # Everything that came from outside is escaped above.
    return Markup(f'<table class="chart" style="font-size: 12px">{"".join(lines)}</table>')  # noqa: S704
