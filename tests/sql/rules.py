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

from drawsguard.schema_constants import schema_constants
from drawsguard.settings import REPOSITORY, get_settings
from drawsguard.sql import DEFAULT_IDENTIFIERS, SQL_ROOT

Rule = Callable[["Statement"], list[str]]

#: The header of every file says what the reader cannot see: what it is for, and one row of what.
HEADER_LABELS = ("Purpose", "Grain")
#: A statement that changes rows also says why running it twice is harmless; that a query only reads can be seen.
WRITING_LABEL = "Repeatable"

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

    @classmethod
    def read_local(cls, path: Path) -> Statement:
        """The demo's own statements are BigQuery's."""
        return cls(str(path.relative_to(REPOSITORY)), "bigquery", path.read_text(encoding="utf-8"))

    @cached_property
    def text(self) -> str:
        environment = Environment(loader=FileSystemLoader(SQL_ROOT), undefined=_Placeholder)  # noqa: S701
        names = {name: getattr(get_settings(), name) for name in DEFAULT_IDENTIFIERS}
        text = environment.from_string(self.source).render({**schema_constants(get_settings()), **names})
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
    production = [Statement.read(path) for path in sorted(SQL_ROOT.rglob("*.sql"))]
    return production + [Statement.read_local(path) for path in sorted((REPOSITORY / "local" / "sql").glob("*.sql"))]


# --- every engine -------------------------------------------------------------------------------------
#: Statements that the parser passes through unread, and that none of the rules is about.
UNREAD = frozenset({("mysql", "REPLACE"), ("mysql", "LOAD"), ("mysql", "RENAME"), ("mysql", "ALTER"), ("hive", "SHOW")})


def is_understood(statement: Statement) -> list[str]:
    """The parser knows every statement; what it passes through unread would escape the other rules."""
    return [
        f"the parser does not understand: {tree.sql()[:80]}"
        for tree in statement.trees
        if isinstance(tree, exp.Command) and (statement.dialect, str(tree.this).upper()) not in UNREAD
    ]


def has_header(statement: Statement) -> list[str]:
    """The file starts with a comment that has its labels, and promises repeatability only where rows change."""
    lines = statement.source.splitlines()
    header = "\n".join(lines[: next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))])
    writes = any(statement.find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable, exp.LoadData))
    labels = [*HEADER_LABELS, WRITING_LABEL] if writes else HEADER_LABELS
    found = [f"header comment lacks '{label}:'" for label in labels if not re.search(rf"^-- {label}: \S", header, re.M)]
    if not writes and re.search(rf"^-- {WRITING_LABEL}: .*\breads?\b", header, re.M):
        found.append(f"'{WRITING_LABEL}:' says that a query reads, which can be seen")
    return found


def renders_identifiers_only(statement: Statement) -> list[str]:
    """Jinja puts plain names into a statement, never values: no expression, and no placeholder inside a literal.

    Views and functions take no parameters: theirs may name the constants of the schema, and what is made of these.
    """
    found = []
    template = Environment().parse(statement.source)  # noqa: S701
    constants = _constants_in(template) if statement.name.startswith("bigquery/schema/R__") else set()
    for output in template.find_all(nodes.Output):
        found += [
            f"line {node.lineno}: a placeholder must be a plain name"
            for node in output.nodes
            if not isinstance(node, nodes.TemplateData) and not _is_name_or_separator(node)
            and not _roots(node) <= constants
        ]  # fmt: skip
    quoted = set(re.findall(r"'\{\{\s*(\w+)\s*\}\}'", statement.source)) - set(QUOTED_PLACEHOLDERS) - constants
    return found + [f"'{{{{ {name} }}}}': bind the value instead" for name in sorted(quoted)]


def _constants_in(template: nodes.Template) -> set[str]:
    """Return the names of a template that stand for constants of the schema: these, what loops over them, macros."""
    loops = {name.name for loop in template.find_all(nodes.For) for name in loop.target.find_all(nodes.Name)}
    loops |= {loop.target.name for loop in template.find_all(nodes.For) if isinstance(loop.target, nodes.Name)}
    over = {name for loop in template.find_all(nodes.For) for name in _roots(loop.iter)}
    if not over <= schema_constants(get_settings()).keys():
        return set()
    macros = {macro.name for macro in template.find_all(nodes.Macro)}
    return {*schema_constants(get_settings()), *loops, *macros}


def _roots(node: nodes.Node) -> set[str]:
    return {name.name for name in node.find_all(nodes.Name)} | ({node.name} if isinstance(node, nodes.Name) else set())


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
    folder = SQL_ROOT / "bigquery"
    for path in [*sorted((folder / "schema").glob("V*.sql")), folder / "history" / "create_partitioned.sql"]:
        for create in Statement.read(path).find(exp.Create):
            properties = create.args.get("properties")
            partition = create.find(exp.PartitionedByProperty)
            if properties is None or partition is None or "require_partition_filter" not in properties.sql().lower():
                continue
            column = partition.find(exp.Column)
            columns[_full_name(create.find(exp.Table))] = column.name if column else partition.this.name
    # Statements for either side name its dataset, its table of draws or that table's column by a placeholder.
    either = f"{get_settings().project}.dataset"
    draws = dict.fromkeys((f"{either}.{name}" for name in ("draws", "table", "legacy", "partitioned")), "timestamp")
    return columns | draws | {f"{either}.adopted": "drawn_at"}


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


def _conditions_over(table: exp.Table) -> list[exp.Expression | None]:
    """Return what has to bound ``table``, each of them: the ON of its MERGE, or the WHERE of what reads or changes it.

    A MERGE that matches nothing (``ON FALSE``) reads its target only in NOT MATCHED BY SOURCE: there it is bounded.
    """
    parent = table.parent
    if isinstance(parent, exp.Merge) and parent.this is table:
        if _is_false(parent.args.get("on")):
            return [when.args.get("condition") for when in parent.find_all(exp.When) if when.args.get("source")]
        return [parent.args.get("on")]
    reader = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
    where = reader.args.get("where") if reader else None
    return [where.this if where else None]


def _is_false(node: exp.Expression | None) -> bool:
    return isinstance(node, exp.Boolean) and node.this is False


def filters_partitions(statement: Statement) -> list[str]:
    """Each table that requires a partition filter has a constant bound on its raw column, also as a MERGE target."""
    found = []
    for table in statement.find(exp.Table):
        column = partition_columns().get(_full_name(table))
        is_defined_here = isinstance(table.parent, exp.Schema | exp.Create | exp.Insert | exp.Alter) or (
            isinstance(table.parent, exp.Schema) and isinstance(table.parent.parent, exp.Create | exp.Insert)
        )
        if column is None or is_defined_here:
            continue
        conditions = _conditions_over(table)
        if not all(_has_constant_bound(condition, column, table.alias_or_name) for condition in conditions):
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
    """Only a view reads the clock: it has no parameters. All else is told the time, so that it can be repeated; the
    engine's clock may only cap what it is told, ``LEAST(@moment, CURRENT_TIMESTAMP())``.
    """
    found = []
    for tree in statement.trees:
        is_view = isinstance(tree, exp.Create) and tree.kind == "VIEW" and not _is_materialized(tree)
        if not is_view and not all(_caps_a_parameter(clock) for clock in tree.find_all(*_CLOCKS)):
            found.append(f"CURRENT_* outside a view: {tree.sql(dialect='bigquery')[:60]}")
    return found


def _caps_a_parameter(clock: exp.Expression) -> bool:
    least = clock.parent
    return isinstance(least, exp.Least) and isinstance(least.this, exp.Parameter) and least.expressions == [clock]


def stamps_by_the_engine_at_the_latest(statement: Statement) -> list[str]:
    """What the views hide until it was written, or what counts as the newest, is never stamped later than the engine's
    clock: a worker's clock may be ahead, and its rows would be missing, or hide later ones, until then.
    """
    stamps = ("ingested_at", "synced_at", "computed_at", "signalled_at")
    written = [one for tree in statement.trees for one in _written(tree) if one[0] in stamps]
    return [
        f"{column} is written as {value.sql(dialect='bigquery')}; write LEAST(…, CURRENT_TIMESTAMP())"
        for column, value in written
        if isinstance(value, exp.Parameter)
    ]


def _written(tree: exp.Expression) -> Iterator[tuple[str, exp.Expression]]:
    """Return columns with what a statement writes into them."""
    for update in tree.find_all(exp.Update, exp.When):
        yield from (
            (one.this.name, one.expression) for one in update.find_all(exp.EQ) if isinstance(one.this, exp.Column)
        )
    for insert in tree.find_all(exp.Insert):
        if isinstance(insert.this, exp.Tuple) and isinstance(insert.expression, exp.Tuple):
            pairs = zip(insert.this.expressions, insert.expression.expressions, strict=True)
            yield from ((column.name, value) for column, value in pairs)
    yield from ((one.alias, one.this) for one in tree.find_all(exp.Alias))


def _is_materialized(tree: exp.Create) -> bool:
    return tree.find(exp.MaterializedProperty) is not None


#: Aggregates that BigQuery keeps up to date from the changes of the base table alone, as it lists them:
#: https://cloud.google.com/bigquery/docs/materialized-views-create
_INCREMENTAL = (
    exp.ApproxDistinct,
    exp.ArrayAgg,
    exp.Avg,
    exp.BitwiseAndAgg,
    exp.BitwiseOrAgg,
    exp.BitwiseXorAgg,
    exp.Count,
    exp.CountIf,
    exp.LogicalAnd,
    exp.LogicalOr,
    exp.Max,
    exp.Min,
    exp.Sum,
)
#: What an incremental view may not have: BigQuery would have to read the whole base table again.
_NOT_INCREMENTAL: dict[str, type[exp.Expression]] = {
    "a window function": exp.Window,
    "HAVING": exp.Having,
    "ORDER BY": exp.Order,
    "LIMIT": exp.Limit,
    "QUALIFY": exp.Qualify,
    "DISTINCT": exp.Distinct,
    "a set operation": exp.SetOperation,
    "a subquery": exp.Subquery,
    "UNNEST": exp.Unnest,
    "FOR SYSTEM_TIME": exp.Version,
    "TABLESAMPLE": exp.TableSample,
    "a function of our own": exp.Anonymous,
}


def keeps_materialized_views_incremental(statement: Statement) -> list[str]:
    """A materialized view has the form that BigQuery keeps up to date from changes: group keys and bare aggregates of
    its list over partitioned tables, partitioned by their column or a coarser step of it. Deviations, ratios and the
    like belong to a plain view on top.
    """
    found = []
    for tree in statement.trees:
        if not isinstance(tree, exp.Create) or not _is_materialized(tree):
            continue
        query = tree.expression
        if not isinstance(query, exp.Select):
            found.append("a materialized view is one SELECT")
            continue
        found += [f"{what} in a materialized view" for what, kind in _NOT_INCREMENTAL.items() if query.find(kind)]
        found += [
            f"{join.side or 'outer'} join in a materialized view" for join in query.find_all(exp.Join) if join.side
        ]
        grouped = query.args.get("group")
        keys = _names(grouped) if grouped else set()
        for output in query.expressions:
            value = output.unalias()
            if not isinstance(value, _INCREMENTAL) and output.alias_or_name not in keys:
                found.append(f"{output.sql(dialect='bigquery')[:60]} is neither a group key nor a bare aggregate")
        found += _misplaced_partitions(tree, query)
    return found


def _misplaced_partitions(view: exp.Create, query: exp.Select) -> list[str]:
    """Tell what is wrong with the view's partitions: its tables have them, and the view's follow theirs."""
    bases = [_full_name(table) for table in query.find_all(exp.Table)]
    unpartitioned = [name for name in bases if name not in partition_columns()]
    partition = view.find(exp.PartitionedByProperty)
    if partition is None:
        return ["a materialized view without partitions"]
    if unpartitioned:
        return [f"a partitioned materialized view over {name}, which is not" for name in unpartitioned]
    named = partition.find(exp.Column)
    output = next((one for one in query.expressions if named is not None and one.alias_or_name == named.name), None)
    follows = output is not None and _names(output) == {partition_columns()[name] for name in bases}
    return [] if follows else ["the view's partitions do not follow those of its table"]


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


def merges_nothing_in_its_documented_form(statement: Statement) -> list[str]:
    """A MERGE that replaces rows says ``ON FALSE`` and nothing else there: the constant that BigQuery documents. With a
    further condition it is an ordinary outer join without an equality, which BigQuery refuses.
    """
    return [
        f"ON FALSE with a further condition: {merge.args['on'].sql(dialect='bigquery')[:60]}"
        for merge in statement.find(exp.Merge)
        if not _is_false(merge.args["on"]) and any(_is_false(part) for part in _conjuncts(merge.args["on"]))
    ]


@lru_cache(maxsize=1)
def sql_functions() -> dict[str, exp.Expression]:
    """Return the body of each SQL function of the schema, by full name."""
    bodies = {}
    for path in sorted((SQL_ROOT / "bigquery" / "schema").glob("*.sql")):
        for create in Statement.read(path).find(exp.Create):
            if create.kind == "FUNCTION":
                bodies[_full_name(create.this.this)] = create.expression
    return bodies


def _holds_a_subquery(node: exp.Expression, functions: dict[str, exp.Expression]) -> str | None:
    """Return where a subquery is found in ``node``: in itself, or in a function that it calls, at any depth."""
    if node.find(exp.Select):
        return node.sql(dialect="bigquery")[:60]
    for call in node.find_all(exp.Anonymous):
        body = functions.get(call.name)
        if body is not None and _holds_a_subquery(body, functions):
            return f"the body of {call.name}"
    return None


def merges_without_subqueries(
    statement: Statement, functions: Callable[[], dict[str, exp.Expression]] = sql_functions
) -> list[str]:
    """No subquery in the WHEN conditions, UPDATE and INSERT parts of a MERGE: BigQuery refuses a correlated one there,
    and it puts the body of an SQL function in place of its call.
    """
    found = []
    for when in statement.find(exp.When):
        for part in (when.args.get("condition"), when.args["then"]):
            where = _holds_a_subquery(part, functions()) if part is not None else None
            if where:
                found.append(f"subquery in a WHEN of the MERGE: {where}")
    return found


#: The reserved keywords of GoogleSQL as BigQuery lists them.
_RESERVED = (
    "ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE "
    "CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH "
    "FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN "
    "LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION "
    "PRECEDING PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO "
    "TREAT TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN "
)
RESERVED = frozenset(_RESERVED.split())


def names_nothing_by_a_reserved_word(statement: Statement) -> list[str]:
    """No alias, column or table is a reserved word: the emulator takes ``AS new``, BigQuery does not."""
    return sorted(
        {
            f"{name.this} is a reserved word"
            for name in statement.find(exp.Identifier)
            if not name.args.get("quoted") and name.this.upper() in RESERVED
        }
    )


def counts_jobs_once(statement: Statement) -> list[str]:
    """INFORMATION_SCHEMA.JOBS holds a script's statements and the script with their sums; figures of a job that failed
    or still runs are NULL, and so may be the sum over them.
    """
    if not re.search(r"INFORMATION_SCHEMA`?\.`?JOBS", statement.text):
        return []
    found = []
    if not any("statement_type" in _names(one) and "SCRIPT" in one.sql() for one in statement.find(exp.NEQ)):
        found.append("JOBS without statement_type != 'SCRIPT'")
    found += [
        f"{total.sql(dialect='bigquery')} may be NULL"
        for total in statement.find(exp.Sum)
        if not isinstance(total.parent, exp.Coalesce)
    ]
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
    stamps_by_the_engine_at_the_latest,
    keeps_materialized_views_incremental,
    merges_distinct_rows,
    merges_without_subqueries,
    merges_nothing_in_its_documented_form,
    names_nothing_by_a_reserved_word,
    counts_jobs_once,
    compares_versions,
    finds_inner_holes,
    keeps_draws,
    can_be_repeated,
)


def rules_for(statement: Statement) -> tuple[Rule, ...]:
    return EVERY_ENGINE + BIGQUERY if statement.dialect == "bigquery" else EVERY_ENGINE
