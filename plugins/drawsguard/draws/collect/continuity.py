"""Completeness of draws is judged by the continuity of their periods, not by a count a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import pairwise

from drawsguard.draws.draw_time import Fit, fits
from drawsguard.draws.model import Draw


def holes(draws: Iterable[Draw], interval: timedelta) -> Iterator[tuple[Draw, Draw]]:
    """Yield the two draws at the edges of each gap, the earlier one first: the periods between them are missing.

    A draw whose time does not fit the others is no edge, since it does not say where the gap lies; it is part of one.

    :param draws: in any order, one or more versions a period.
    :param interval: between two draws.
    """
    by_period = {draw.period: draw for draw in draws}
    judged = fits({period: draw.timestamp for period, draw in by_period.items()}, interval)
    ordered = [by_period[period] for period, fit in judged.items() if fit is Fit.SURE]
    for before, after in pairwise(ordered):
        if after.period - before.period > 1:
            yield before, after
