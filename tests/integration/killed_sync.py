"""A sync in a process of its own that dies at a given step, as a killed worker does: no clean-up, no exception.

Usage: python tests/integration/killed_sync.py STEP START END, with STEP one of planned, submitted, merged.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Any

from sync_support import sync  # found beside this script

from drawsguard.draws.window import Window
from operators.draws.sync.draw_sync_operator import DrawSyncOperator

#: The method that would come next.
NEXT_STEP = {"planned": "_merge", "submitted": "poll_until_complete", "merged": "_log"}


def die(*_: Any) -> None:
    os._exit(137)


if __name__ == "__main__":
    step, start, end = sys.argv[1:]
    setattr(DrawSyncOperator, NEXT_STEP[step], die)
    sync(Window(datetime.fromisoformat(start), datetime.fromisoformat(end)))
