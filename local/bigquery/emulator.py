"""The BigQuery emulator, started so that it parses each text once.

On its way through the emulator a statement is parsed again for every rewrite, and the same statements come every
minute; parsing was half of the emulator's processor time. Runs in the emulator's own environment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from bqemulator.cli import main
from sqlglot.dialects.dialect import Dialect

#: Texts whose trees are kept: the statements of the project, each in the few forms that the emulator makes of it.
REMEMBERED = 512


def parse_each_text_once() -> None:
    """Have sqlglot answer a text that it has parsed with copies of the trees: its callers change what they get."""
    parse = Dialect.parse
    trees = lru_cache(REMEMBERED)(lambda dialect, _settings, sql: parse(dialect, sql))

    def remembered(dialect: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:
            return parse(dialect, sql, **options)
        return [tree and tree.copy() for tree in trees(dialect, repr(dialect.settings), sql)]

    Dialect.parse = remembered  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    parse_each_text_once()
    main()
