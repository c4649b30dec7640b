"""Many spans as few: those that touch are one, and the closest are joined until few enough are left.

One statement for each span would read the tables once a span; one for all would read everything between them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from drawsguard.draws.window import Window

ANY_NUMBER = sys.maxsize
Place = TypeVar("Place", int, datetime)


def joined_windows(windows: Iterable[Window], at_most: int = ANY_NUMBER) -> list[Window]:
    """Return windows in order that hold ``windows``.

    :param at_most: how many may be left, at least one.
    """
    return [Window(*span) for span in _joined(((window.start, window.end) for window in windows), at_most)]


def joined_ranges(ranges: Iterable[range], at_most: int = ANY_NUMBER, within: int = 0) -> list[range]:
    """Return ranges of periods in order that hold ``ranges``.

    :param at_most: how many may be left, at least one.
    :param within: ranges that are no further apart than this many periods are joined in any case.
    """
    # Longer by what may lie between them, those that are so close touch.
    reaching = ((each.start, each.stop + within) for each in ranges)
    return [range(start, end - within) for start, end in _joined(reaching, at_most)]


def _joined(spans: Iterable[tuple[Place, Place]], at_most: int) -> list[tuple[Place, Place]]:
    apart: list[tuple[Place, Place]] = []
    for start, end in sorted(spans):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    if len(apart) <= at_most:
        return apart
    # What is left out is what lies in the widest gaps.
    widest_first: list[int] = sorted(range(1, len(apart)), key=lambda at: apart[at][0] - apart[at - 1][1], reverse=True)
    cuts = [0, *sorted(widest_first[: max(at_most, 1) - 1]), len(apart)]
    return [(apart[first][0], apart[beyond - 1][1]) for first, beyond in pairwise(cuts)]
