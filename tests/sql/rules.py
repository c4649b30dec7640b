"""Rules that every statement under include/sql is held against, as plain functions.

The local engines are laxer than BigQuery (no partition filter is demanded, nothing is pruned), so the text itself is
checked: sqlglot parses it, and each rule returns what it finds wrong. An empty list is a pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import sqlglot
from jinja2 import Environment, FileSystemLoader, Undefined, nodes
from sqlglot import exp

from drawsguard.settings import get_settings
from drawsguard.sql import DEFAULT_IDENTIFIERS, SQL_ROOT

Rule = Callable[["Statement"], list[str]]

#: The header of every file: what it is for, one row of what, what is bound, and why running it twice is harmless.
HEADER_LABELS = ("Purpose", "Grain", "Parameters", "Why it can be re-run")

#: Only DDL options cannot be bound; the location comes from the settings and is checked as an identifier.
QUOTED_PLACEHOLDERS = frozenset({"location"})


class _Placeholder(Undefined):
    """Renders as its own name, and iterates once: enough to parse a file without knowing who calls it."""

    def __str__(self) -> str:
        return str(self._undefined_name)

    def __iter__(self) -> Iterator[str]:
        return iter([str(self)])


@dataclass(frozen=True)
class Statement:
    """One file, or one text of a test."""

    name: str
    dialect: str
    source: str

    @classmethod
    def read(cls, path: Path) -> Statement:
        relative = path.relative_to(SQL_ROOT)
        return cls(str(relative), relative.parts[0], path.read_text(encoding="utf-8"))

    @cached_property
    def text(self) -> str:
        environment = Environment(loader=FileSystemLoader(SQL_ROOT), undefined=_Placeholder)  # noqa: S701
        names = {name: getattr(get_settings(), name) for name in DEFAULT_IDENTIFIERS}
        text = environment.from_string(self.source).render(names)
        # The drivers' placeholders stand for values; the parser knows no such marks, and IN takes a list.
        text = re.sub(r"\bIN\s+%\((\w+)\)s", r"IN ('\1')", text, flags=re.IGNORECASE)
        return re.sub(r"%\((\w+)\)s", r"'\1'", text).replace("%%", "%")

    @cached_property
    def trees(self) -> list[exp.Expression]:
        if self.dialect == "mysql" and re.search(r"^LOAD DATA\b", self.text, re.MULTILINE):
            return [exp.Command(this="LOAD")]  # the parser stops at LOCAL
        return [tree for tree in sqlglot.parse(self.text, dialect=self.dialect) if tree is not None]

    def find(self, *kinds: type[exp.Expression]) -> Iterator[exp.Expression]:
        for tree in self.trees:
            yield from tree.find_all(*kinds)


def all_statements() -> list[Statement]:
    return [Statement.read(path) for path in sorted(SQL_ROOT.rglob("*.sql"))]


# --- every engine -------------------------------------------------------------------------------------
#: Statements that the parser passes through unread, and that none of the rules is about.
UNREAD = frozenset({("mysql", "REPLACE"), ("mysql", "LOAD")})


def is_understood(statement: Statement) -> list[str]:
    """The parser knows every statement; what it passes through unread would escape the other rules."""
    return [
        f"the parser does not understand: {tree.sql()[:80]}"
        for tree in statement.trees
        if isinstance(tree, exp.Command) and (statement.dialect, str(tree.this).upper()) not in UNREAD
    ]


def has_header(statement: Statement) -> list[str]:
    """The file starts with a comment that has all four labels."""
    lines = statement.source.splitlines()
    header = "\n".join(lines[: next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))])
    return [
        f"header comment lacks '{label}:'"
        for label in HEADER_LABELS
        if not re.search(rf"^-- {label}: \S", header, re.M)
    ]


def renders_identifiers_only(statement: Statement) -> list[str]:
    """Jinja puts plain names into a statement, never values: no expression, and no placeholder inside a literal."""
    found = []
    for output in Environment().parse(statement.source).find_all(nodes.Output):  # noqa: S701
        found += [
            f"line {node.lineno}: a placeholder must be a plain name"
            for node in output.nodes
            if not isinstance(node, nodes.TemplateData) and not _is_name_or_separator(node)
        ]
    quoted = re.findall(r"'\{\{\s*(\w+)\s*\}\}'", statement.source)
    return found + [f"'{{{{ {name} }}}}': bind the value instead" for name in quoted if name not in QUOTED_PLACEHOLDERS]


def _is_name_or_separator(node: nodes.Expr) -> bool:
    """``{{ name }}``, ``{{ names | join(", ") }}``, or constant text that depends on the place in a loop."""
    if isinstance(node, nodes.CondExpr):
        return all(branch is None or isinstance(branch, nodes.Const) for branch in (node.expr1, node.expr2))
    if isinstance(node, nodes.Filter) and node.name == "join":
        return isinstance(node.node, nodes.Name)
    return isinstance(node, nodes.Name)


def lists_columns(statement: Statement) -> list[str]:
    """No SELECT *: a new column must not change what readers get. COUNT(*) is no column list, and a copy of a whole
    table into one that was created LIKE it is complete by definition (BigQuery has table copies for that).
    """
    return [
        "SELECT * instead of columns"
        for star in statement.find(exp.Star)
        if not isinstance(star.parent, exp.Count)
        and not (statement.dialect == "mysql" and _copies_a_table(star.parent))
    ]


def _copies_a_table(select: exp.Expression | None) -> bool:
    return (
        isinstance(select, exp.Select)
        and isinstance(select.parent, exp.Insert)
        and not any(select.args.get(part) for part in ("where", "joins", "group", "limit"))
    )


def bounds_deletes_and_updates(statement: Statement) -> list[str]:
    """DELETE and UPDATE say which rows; a MERGE deletes unmatched rows only under a condition."""
    found = []
    for change in statement.find(exp.Delete, exp.Update):
        if isinstance(change.parent, exp.When):
            continue
        where = change.args.get("where")
        if where is None or not list(where.find_all(exp.Column)):
            found.append(f"{type(change).__name__.upper()} without a condition on a column")
    for when in statement.find(exp.When):
        deletes = isinstance(when.args["then"], exp.Var) and when.args["then"].name.upper() == "DELETE"
        if deletes and when.args.get("source") and when.args.get("condition") is None:
            found.append("WHEN NOT MATCHED BY SOURCE THEN DELETE without a condition")
    return found


# --- BigQuery -------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def partition_columns() -> dict[str, str]:
    """Return the partition column of each table whose definition says require_partition_filter, by full name."""
    columns = {}
    for path in sorted((SQL_ROOT / "bigquery" / "schema").glob("V*.sql")):
        for create in Statement.read(path).find(exp.Create):
            properties = create.args.get("properties")
            partition = create.find(exp.PartitionedByProperty)
            if properties is None or partition is None or "require_partition_filter" not in properties.sql().lower():
                continue
            column = partition.find(exp.Column)
            columns[_full_name(create.find(exp.Table))] = column.name if column else partition.this.name
    return columns


def _full_name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def _is_constant(node: exp.Expression) -> bool:
    """Literals, parameters (of the query, or of the function defined here) and calls on them prune partitions; columns
    and subqueries do not.
    """
    create = node.find_ancestor(exp.Create)
    signature = create.find(exp.UserDefinedFunction) if create else None
    arguments = {argument.name for argument in signature.expressions} if signature else set()
    return not node.find(exp.Select) and _names(node) <= arguments


def _conjuncts(node: exp.Expression | None) -> Iterator[exp.Expression]:
    if isinstance(node, exp.And):
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    elif isinstance(node, exp.Paren):
        yield from _conjuncts(node.this)
    elif node is not None:
        yield node


def _is_column(node: exp.Expression, column: str, alias: str) -> bool:
    return isinstance(node, exp.Column) and node.name == column and node.table in ("", alias)


def _has_constant_bound(condition: exp.Expression | None, column: str, alias: str) -> bool:
    for part in _conjuncts(condition):
        if isinstance(part, exp.GTE | exp.GT | exp.EQ | exp.LT) and (
            (_is_column(part.left, column, alias) and _is_constant(part.right))
            or (_is_column(part.right, column, alias) and _is_constant(part.left))
        ):
            return True
    return False


def _condition_over(table: exp.Table) -> exp.Expression | None:
    """Return what has to bound ``table``: the ON of its MERGE, or the WHERE of what reads or changes it."""
    parent = table.parent
    if isinstance(parent, exp.Merge) and parent.this is table:
        return parent.args.get("on")
    reader = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
    where = reader.args.get("where") if reader else None
    return where.this if where else None


def filters_partitions(statement: Statement) -> list[str]:
    """Each table that requires a partition filter has a constant bound on its raw column, also as a MERGE target."""
    found = []
    for table in statement.find(exp.Table):
        column = partition_columns().get(_full_name(table))
        is_defined_here = isinstance(table.parent, exp.Schema | exp.Create | exp.Insert) or (
            isinstance(table.parent, exp.Schema) and isinstance(table.parent.parent, exp.Create | exp.Insert)
        )
        if column is None or is_defined_here:
            continue
        if not _has_constant_bound(_condition_over(table), column, table.alias_or_name):
            found.append(f"{_full_name(table)} has no constant bound on {column}")
    return found


def compares_raw_half_open(statement: Statement) -> list[str]:
    """Conditions compare the partition column itself with >= and <: no function around it, no BETWEEN, no <=."""
    columns = {column for table, column in partition_columns().items() if table in _tables(statement)}
    found = []
    for condition in statement.find(exp.Where, exp.Join, exp.Merge):
        root = condition.args.get("on") if isinstance(condition, exp.Join | exp.Merge) else condition.this
        for part in [] if root is None else root.find_all(exp.Between, exp.Predicate):
            if isinstance(part, exp.Between) and _names(part.this) & columns and isinstance(part.this, exp.Column):
                found.append(f"BETWEEN on {part.this.name}: use >= and <")
            elif isinstance(part, exp.Binary):
                sides = (part.left, part.right)
                wrapped = any(not isinstance(side, exp.Column) and _names(side) & columns for side in sides)
                constant = any(_is_constant(side) for side in sides)
                if wrapped and constant and not any(side.find(exp.Select) for side in sides):
                    found.append(f"function on the partition column: {part.sql(dialect='bigquery')[:80]}")
                bound = part.right.find(exp.Parameter) or part.right.find(exp.Literal)
                if isinstance(part, exp.LTE) and bound and _names(part.left) & columns:
                    found.append(f"closed upper bound: {part.sql(dialect='bigquery')[:80]}")
    return found


def _tables(statement: Statement) -> set[str]:
    return {_full_name(table) for table in statement.find(exp.Table)}


def _names(node: exp.Expression) -> set[str]:
    return {column.name for column in node.find_all(exp.Column)}


_CLOCKS = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentDatetime, exp.CurrentTime)


def binds_the_clock(statement: Statement) -> list[str]:
    """Only a view reads the clock: it has no parameters. All else is told the time, so that it can be repeated."""
    found = []
    for tree in statement.trees:
        is_view = isinstance(tree, exp.Create) and tree.kind == "VIEW" and not _is_materialized(tree)
        if not is_view and any(tree.find(clock) for clock in _CLOCKS):
            found.append(f"CURRENT_* outside a view: {tree.sql(dialect='bigquery')[:60]}")
    return found


def _is_materialized(tree: exp.Create) -> bool:
    return tree.find(exp.MaterializedProperty) is not None


def keeps_materialized_views_incremental(statement: Statement) -> list[str]:
    """A materialized view holds sums and counts; deviations belong to a plain view on top."""
    deviations = (exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop)
    return [
        "deviation in a materialized view"
        for tree in statement.trees
        if isinstance(tree, exp.Create) and _is_materialized(tree) and any(tree.find(kind) for kind in deviations)
    ]


def merges_distinct_rows(statement: Statement) -> list[str]:
    """The source of a MERGE is deduplicated in the statement: two source rows for one target row are an error."""
    found = []
    for merge in statement.find(exp.Merge):
        using = merge.args["using"]
        if isinstance(using, exp.Table):
            found.append(f"MERGE reads {_full_name(using)} directly")
        elif using.find(exp.Table) and not any(using.find(kind) for kind in (exp.Qualify, exp.Group, exp.Distinct)):
            found.append("MERGE source has neither QUALIFY nor GROUP BY nor DISTINCT")
    return found


def compares_versions(statement: Statement) -> list[str]:
    """updated_at may be NULL and arrays do not compare: neither stands alone in a comparison of source and target."""
    found = []
    for comparison in statement.find(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ):
        if comparison.find_ancestor(exp.Merge) is None or not isinstance(
            comparison.parent, exp.When | exp.And | exp.Or
        ):
            continue
        sides = [side for side in (comparison.left, comparison.right) if isinstance(side, exp.Column)]
        found += [
            f"{side.name} compared alone: {comparison.sql(dialect='bigquery')}"
            for side in sides
            if side.name in ("updated_at", "numbers")
        ]
    return found


def finds_inner_holes(statement: Statement) -> list[str]:
    """No ``period > (SELECT MAX(period) …)``: it never fills a hole and inserts nothing into an empty table."""
    return [
        f"compares with a maximum: {comparison.sql(dialect='bigquery')[:80]}"
        for comparison in statement.find(exp.GT, exp.GTE)
        if isinstance(comparison.left, exp.Column)
        and isinstance(comparison.right, exp.Subquery)
        and comparison.right.find(exp.Max)
    ]


def keeps_draws(statement: Statement) -> list[str]:
    """Draws and features never expire; logs may."""
    return [
        f"{_full_name(create.find(exp.Table))} expires"
        for create in statement.find(exp.Create)
        if create.kind == "TABLE"
        and create.find(exp.Table).name.startswith("draws")
        and "partition_expiration_days" in create.sql(dialect="bigquery").lower()
    ]


def can_be_repeated(statement: Statement) -> list[str]:
    """BigQuery does not roll DDL back: every CREATE says IF NOT EXISTS or OR REPLACE."""
    return [
        f"CREATE {create.kind} without IF NOT EXISTS or OR REPLACE"
        for create in statement.find(exp.Create)
        if not create.args.get("exists") and not create.args.get("replace")
    ]


EVERY_ENGINE: tuple[Rule, ...] = (
    is_understood,
    has_header,
    renders_identifiers_only,
    lists_columns,
    bounds_deletes_and_updates,
)
BIGQUERY: tuple[Rule, ...] = (
    filters_partitions,
    compares_raw_half_open,
    binds_the_clock,
    keeps_materialized_views_incremental,
    merges_distinct_rows,
    compares_versions,
    finds_inner_holes,
    keeps_draws,
    can_be_repeated,
)


def rules_for(statement: Statement) -> tuple[Rule, ...]:
    return EVERY_ENGINE + BIGQUERY if statement.dialect == "bigquery" else EVERY_ENGINE
