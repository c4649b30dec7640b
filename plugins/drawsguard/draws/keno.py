"""A result is derived from a keno draw: 20 of the numbers 1 to 80."""

from __future__ import annotations

from collections.abc import Sequence

Digits = tuple[int, int, int]

#: Positions (1-based, in ascending order of the balls) whose sum gives each digit.
POSITIONS = ((2, 5, 8, 11, 14, 17), (3, 6, 9, 12, 15, 18), (4, 7, 10, 13, 16, 19))


def digits_of(balls: Sequence[int]) -> Digits:
    """Return the three digits of a keno draw: the last digit of the sum of each group of positions.

    :param balls: the 20 balls in any order.
    :raises ValueError: when they are not 20 distinct numbers from 1 to 80.
    """
    ordered = sorted(set(balls))
    if len(balls) != 20 or len(ordered) != 20 or ordered[0] < 1 or ordered[-1] > 80:
        raise ValueError(f"A keno draw is 20 distinct numbers from 1 to 80, not {list(balls)!r}.")
    first, second, third = (sum(ordered[position - 1] for position in group) % 10 for group in POSITIONS)
    return first, second, third
