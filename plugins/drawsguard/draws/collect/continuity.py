"""Completeness of draws is judged by the continuity of their periods, not by a count a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from drawsguard.draws.model import Draw


def holes(draws: Iterable[Draw]) -> Iterator[tuple[Draw, Draw]]:
    """Yield the two draws at the edges of each gap: the periods between them are missing.

    :param draws: in any order, one or more versions a period.
    """
    ordered = sorted({draw.period: draw for draw in draws}.values(), key=lambda draw: draw.period)
    for before, after in pairwise(ordered):
        if after.period - before.period > 1:
            yield before, after
