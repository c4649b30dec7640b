"""Small bar charts as SVG: they print, they scale, and a mail needs no image server for them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, BAR, GAP, LABELS = 640, 18, 6, 170


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
    room = WIDTH - LABELS - 110
    height = len(points) * (BAR + GAP) + GAP
    shapes = []
    for index, (label, value) in enumerate(points):
        y = GAP + index * (BAR + GAP)
        length = max(0.0, min(1.0, (value - floor) / (top - floor))) * room
        shapes.append(
            f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end" font-size="12">{escape(label)}</text>'
            f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" fill="#4472c4"/>'
            f'<text x="{LABELS + length + 6:.1f}" y="{y + 13}" font-size="12">{value:g}{escape(unit)}</text>'
        )
    # Everything that came from outside is escaped above.
    return Markup(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">{"".join(shapes)}</svg>')  # noqa: S704
