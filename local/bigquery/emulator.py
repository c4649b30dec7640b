"""The BigQuery emulator, parsing and translating each text once and computing fingerprints in the engine.

On its way through the emulator a statement is parsed again for every rewrite, and the same statements come every
minute; this was most of the emulator's processor time. A fingerprint was computed in Python, row by row (0.2 ms).
Runs in the emulator's own environment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.cli import main
from bqemulator.domain.events import TableDataChanged
from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.sql import inner_query
from bqemulator.sql.rules.misc_helpers import FarmFingerprintRule
from bqemulator.sql.translator import SQLTranslator
from bqemulator.versioning.snapshots import SnapshotManager
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

#: Texts whose trees and translations are kept: the statements of the project, each in the few forms that the emulator
#: makes of it.
REMEMBERED = 1024


def parse_each_text_once() -> None:
    """Have sqlglot answer a text that it has parsed with copies of the trees: its callers change what they get."""
    parse = Dialect.parse
    trees = lru_cache(REMEMBERED)(lambda dialect, _settings, sql: parse(dialect, sql))

    def remembered(dialect: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:
            return parse(dialect, sql, **options)
        return [tree and tree.copy() for tree in trees(dialect, repr(dialect.settings), sql)]

    Dialect.parse = remembered  # type: ignore[method-assign, assignment]


def compute_fingerprints_in_the_engine() -> None:
    """Have ``FARM_FINGERPRINT`` be DuckDB's own hash: other numbers than BigQuery's, and nothing stores them."""

    def rewrite(_rule: FarmFingerprintRule, node: exp.Expression) -> exp.Expression:
        text = node.expressions[0]
        # 63 of the 64 bits, since the hash is unsigned.
        bits = exp.cast(exp.BitwiseRightShift(this=exp.func("hash", text.copy()), expression=exp.convert(1)), "BIGINT")
        return exp.If(this=exp.Is(this=text.copy(), expression=exp.null()), true=exp.null(), false=bits)

    FarmFingerprintRule.rewrite = rewrite


def once_for_each(key: Callable[..., Hashable], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its newest results kept, each for what ``key`` makes of the arguments.

    :param function: one whose result follows from that alone, and is not changed by its callers.
    """
    kept: dict[Hashable, Any] = {}

    def remembered(*arguments: Any, **keywords: Any) -> Any:
        name = key(*arguments, **keywords)
        if name not in kept:
            result = function(*arguments, **keywords)
            if len(kept) >= REMEMBERED:
                del kept[next(iter(kept))]
            kept[name] = result
        return kept[name]

    return remembered


def translate_each_text_once() -> None:
    """Keep a text's translation (for the columns of its tables and its caller) and what else follows from it alone."""
    SQLTranslator.translate = once_for_each(
        lambda _translator, sql, *, schema=None, caller=None: (sql, repr(schema), caller), SQLTranslator.translate
    )
    refer = once_for_each(lambda sql, project: (sql, project), executor.rewrite_table_refs)
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = refer
    executor.classify_statement_type = once_for_each(lambda sql: sql, executor.classify_statement_type)
    inner_query.rewrite_unnest_offset = once_for_each(lambda sql: sql, inner_query.rewrite_unnest_offset)


def look_for_ddl_only_where_it_is() -> None:
    """Have a statement that cannot create or drop anything spared the five parses that look for it."""

    def if_in_the_text(word: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda sql, *rest: function(sql, *rest) if word in sql.upper() else None

    for kind in ("schema", "table", "view"):
        name = f"sync_created_{kind}"
        setattr(executor, name, if_in_the_text("CREATE", getattr(executor, name)))
    for name in ("sync_dropped_object", "detect_drop_routine"):
        setattr(executor, name, if_in_the_text("DROP", getattr(executor, name)))


def keep_no_past() -> None:
    """Keep neither a copy of each table after every change (no statement asks for an earlier state) nor old jobs."""

    def tell(manager: SnapshotManager, *table: str) -> None:
        manager._events.publish(TableDataChanged(*table))

    SnapshotManager.record_change = tell
    DuckDBCatalogRepository._write_job = lambda _repository, _job: None


if __name__ == "__main__":
    parse_each_text_once()
    compute_fingerprints_in_the_engine()
    translate_each_text_once()
    look_for_ddl_only_where_it_is()
    keep_no_past()
    main()
