"""Charts are pictures that any mail program shows, with their figures in words."""

from __future__ import annotations

import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from html import unescape
from io import BytesIO

import pytest
from markupsafe import Markup
from matplotlib import rc_context, rcParams, rcParamsDefault
from PIL import Image

from drawsguard.charts import (
    BAD,
    GOOD,
    LONGEST_LABEL,
    NOTHING,
    WIDTH,
    _drawable,
    bars,
    columns,
    stacked,
)

DAYS = [(f"2025-10-{day:02d}", 30 if day != 7 else 90) for day in range(1, 31)]


def picture(chart: Markup) -> Image.Image:
    """Return the picture of a chart, once it was decoded."""
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', chart)
    image = Image.open(BytesIO(b64decode(data)))
    image.load()
    return image.convert("RGB")


def alternative(chart: Markup) -> str:
    (text,) = re.findall(r'alt="([^"]*)"', chart)
    return unescape(text)


def pixels(chart: Markup, colour: str) -> int:
    """Return how many dots of the picture have a colour."""
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return sum(count for count, found in picture(chart).getcolors(1 << 24) or [] if found == wanted)


def test_the_figures_are_the_alternative_text_and_what_misses_its_objective_is_marked() -> None:
    chart = bars([('Mon "<b>', 99.0), ("Tue", 100.0)], unit=" %", ceiling=100, bad=['Mon "<b>'])
    assert 'alt="Mon &#34;&lt;b&gt;: 99 % ×; Tue: 100 %"' in chart
    assert pixels(chart, BAD)
    assert not pixels(bars([("Mon", 100.0)], bad=["Tue"]), BAD)


def test_a_bar_is_as_long_as_its_value() -> None:
    half, full = (pixels(bars([("x", value)], ceiling=100), GOOD) for value in (50, 100))
    assert full == pytest.approx(2 * half, rel=0.1)
    assert not pixels(bars([("none", 0.0)], ceiling=1), GOOD)


def test_a_column_for_each_day_and_the_bad_one_in_red() -> None:
    chart = columns(DAYS, unit=" s", most=60)
    assert alternative(chart).count(";") == len(DAYS) - 1
    assert "2025-10-07: 90 s ×" in alternative(chart)
    red, blue = pixels(chart, BAD), pixels(chart, GOOD)
    assert red == pytest.approx(blue / 29 * 3, rel=0.15), "three times as high as each of 29 others"


def test_a_worse_day_never_looks_better() -> None:
    shares = []
    for worst in (1, 2, 5, 10, 60):
        chart = columns([(date(2025, 10, 3), worst), (date(2025, 10, 4), 60)], most=0)
        shares.append(pixels(chart, BAD))
    assert shares == sorted(shares)


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_what_is_missing_is_a_gap_and_not_nought(missing: float | None) -> None:
    chart = columns([("Mon", 10), ("Tue", missing), ("Wed", Decimal("10.5"))], least=5)
    assert alternative(chart) == "Mon: 10; Tue: –; Wed: 10.5"
    assert not pixels(chart, BAD)
    assert alternative(bars([("a", missing), ("b", Decimal(0))])) == "a: –; b: 0"
    assert alternative(stacked({"a": {"x": missing, "y": 2}}, {"x": "x", "y": "y"})) == "a: x –, y 2"
    assert columns([("Mon", missing)]) == NOTHING


def test_settings_of_the_process_neither_reach_a_chart_nor_are_changed_by_it() -> None:
    usual = columns(DAYS)
    with rc_context({"text.usetex": True, "font.size": 30}):
        assert columns(DAYS) == usual
        assert rcParams["font.size"] == 30
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: columns(DAYS), range(8)))) == 1
    assert rcParams["font.size"] == rcParamsDefault["font.size"]


def test_a_label_is_one_line_of_the_alternative_text() -> None:
    chart = bars([("redis\nSeverity: none\u202e\x00", 1.0)])
    assert alternative(chart) == "redis Severity: none: 1"


def test_parts_are_named_and_summed() -> None:
    chart = stacked(
        {"redis_A": {"r": 1, "w": 2000}, "redis_B": {"w": 0, "r": 0}}, {"r": "只读 read-only", "w": "write-only"}
    )
    assert alternative(chart).startswith("redis_A: 只读 read-only 1, write-only 2,000; redis_B")


@pytest.mark.parametrize("chart", [bars([]), columns([]), stacked({}, {})])
def test_nothing_is_said_and_not_drawn(chart: Markup) -> None:
    assert chart == NOTHING


@pytest.mark.parametrize("label", ["", " ", "$x$ \\frac{", "\n\t\x00", "x" * 500, "张三", "<script>", "😀", "a\u202eb"])
def test_any_label_can_be_drawn(label: str) -> None:
    for chart in (bars([(label, 1.0)]), columns([(label, 1.0)]), stacked({label: {label: 1}}, {label: label})):
        assert picture(chart).width == 2 * WIDTH
    assert len(_drawable(label)) <= LONGEST_LABEL


@pytest.mark.parametrize(
    "chart",
    [
        bars([(f"cluster {number}", number) for number in range(5000)]),
        stacked({f"cluster {number}": {"n": number} for number in range(5000)}, {"n": "unused"}),
    ],
)
def test_of_very_many_bars_the_first_are_drawn_and_the_others_counted(chart: Markup) -> None:
    assert picture(chart).height < 1600
    assert alternative(chart).endswith("… +4,970")


def test_the_same_figures_are_the_same_file() -> None:
    assert columns(DAYS) == columns(DAYS)
