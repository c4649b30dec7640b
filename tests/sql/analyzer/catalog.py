"""What the analyzer knows of the warehouse: datasets, tables, views and functions, as earlier statements made them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sql.analyzer.zetasql import Analyzer, RefusedError, language_options, message, number, type_of, type_proto

Name = tuple[str, ...]

#: INFORMATION_SCHEMA as BigQuery documents it: the columns that a statement here may name.
INFORMATION_SCHEMA: dict[str, dict[str, str]] = {
    "JOBS": {
        "creation_time": "TIMESTAMP",
        "project_id": "STRING",
        "user_email": "STRING",
        "job_id": "STRING",
        "parent_job_id": "STRING",
        "job_type": "STRING",
        "statement_type": "STRING",
        "start_time": "TIMESTAMP",
        "end_time": "TIMESTAMP",
        "state": "STRING",
        "cache_hit": "BOOL",
        "total_bytes_processed": "INT64",
        "total_bytes_billed": "INT64",
        "total_slot_ms": "INT64",
        "labels": "ARRAY<STRUCT<key STRING, value STRING>>",
    },
    "PARTITIONS": {
        "table_catalog": "STRING",
        "table_schema": "STRING",
        "table_name": "STRING",
        "partition_id": "STRING",
        "total_rows": "INT64",
        "total_logical_bytes": "INT64",
        "last_modified_time": "TIMESTAMP",
        "storage_tier": "STRING",
    },
}
#: JOBS belongs to a region, all else to a dataset.
_REGIONAL = frozenset({"JOBS"})

_TOKENS = re.compile(
    r"""(?P<skip>--[^\n]*|\#[^\n]*|/\*.*?\*/|'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"|`(?P<name>[^`]+)`|(?P<semicolon>;)",
    re.DOTALL,
)


def split(text: str) -> list[str]:
    """Return the statements of a text, as BigQuery reads their names: dots within backticks part a path."""
    statements, begin, parts = [], 0, []
    for token in _TOKENS.finditer(text):
        if token["name"]:
            parts += [text[begin : token.start()], ".".join(f"`{part}`" for part in token["name"].split("."))]
            begin = token.end()
        elif token["semicolon"]:
            statements.append("".join([*parts, text[begin : token.start()]]))
            begin, parts = token.end(), []
    statements.append("".join([*parts, text[begin:]]))
    return [one for one in statements if re.sub(r"--[^\n]*|\s", "", one)]


@dataclass
class Catalog:
    """The warehouse after some statements. `analyze` judges the next one against it and, when it is DDL, applies it.

    ``tables`` holds the columns of tables and views (name and type as messages), ``functions`` the signatures.
    """

    analyzer: Analyzer
    region: Name
    datasets: set[Name] = field(default_factory=set)
    tables: dict[Name, list[tuple[str, Any]]] = field(default_factory=dict)
    functions: dict[Name, Any] = field(default_factory=dict)
    table_functions: dict[Name, Any] = field(default_factory=dict)
    _registered: int | None = None

    def copy(self) -> Catalog:
        """Return the same catalog for statements that change it."""
        return Catalog(
            self.analyzer,
            self.region,
            set(self.datasets),
            dict(self.tables),
            dict(self.functions),
            dict(self.table_functions),
            self._registered,
        )

    def analyze(self, text: str, parameters: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Judge the statements of a text in order, and apply their DDL.

        :param parameters: type by name, as the REST API states it.
        :raises RefusedError: at the first that BigQuery would refuse.
        """
        for statement in split(text):
            changes = re.match(r"(?:\s|--[^\n]*\n)*(CREATE|ALTER|DROP)\b", statement, re.IGNORECASE) is not None
            resolved = self.analyzer.analyze(self._id(), statement, parameters or {}, read=changes)
            if changes:
                self._apply(resolved)

    def _id(self) -> int:
        if self._registered is None:
            self._registered = self.analyzer.register(self._message())
        return self._registered

    def _message(self) -> Any:
        root = message("SimpleCatalogProto", name="root")
        root.builtin_function_options.language_options.CopyFrom(language_options())
        children: dict[Name, Any] = {(): root}

        def at(path: Name) -> Any:
            if path not in children:
                children[path] = at(path[:-1]).catalog.add(name=path[-1])
            return children[path]

        for name, columns in self.tables.items():
            table = at(name[:-1]).table.add(name=name[-1], full_name=".".join(name))
            for column, kind in columns:
                table.column.add(name=column, type=kind)
        for dataset in [*sorted(self.datasets), self.region]:
            for view, columns in INFORMATION_SCHEMA.items():
                if (view in _REGIONAL) == (dataset == self.region):
                    table = at((*dataset, "INFORMATION_SCHEMA")).table.add(name=view)
                    for column, kind in columns.items():
                        table.column.add(name=column, type=_documented(kind))
        for name, signature in self.functions.items():
            function = at(name[:-1]).custom_function.add(name_path=[name[-1]], group="user", mode=1)
            function.signature.append(signature)
        for name, function in self.table_functions.items():
            at(name[:-1]).custom_tvf.append(function)
        return root

    def _apply(self, resolved: Any) -> None:
        kind = resolved.DESCRIPTOR.name
        self._registered = None
        if kind in (
            "ResolvedCreateTableStmtProto",
            "ResolvedCreateViewStmtProto",
            "ResolvedCreateMaterializedViewStmtProto",
        ):
            base = resolved.parent
            name = self._placed(base.parent)
            if kind == "ResolvedCreateTableStmtProto":
                columns = [(one.name, one.type) for one in base.column_definition_list]
            else:
                columns = [(one.name, one.column.type) for one in base.output_column_list]
            if not _leaves_what_is_there(base.parent) or name not in self.tables:
                self.tables[name] = columns
        elif kind == "ResolvedCreateFunctionStmtProto":
            self.functions[self._placed(resolved.parent)] = resolved.signature
        elif kind == "ResolvedCreateTableFunctionStmtProto":
            name = self._placed(resolved.parent)
            function = message("TableValuedFunctionProto", name_path=[name[-1]], signature=resolved.signature)
            function.type = number("FunctionEnums.TableValuedFunctionType", "FIXED_OUTPUT_SCHEMA_TVF")
            self.table_functions[name] = function
        elif kind == "ResolvedCreateSchemaStmtProto":
            self.datasets.add(tuple(_statement(resolved).name_path))
        elif kind == "ResolvedAlterTableStmtProto":
            self._alter(resolved.parent)
        else:
            raise NotImplementedError(
                f"{kind}: teach tests/sql/analyzer/catalog.py what this statement does to a name."
            )

    def _alter(self, statement: Any) -> None:
        name = tuple(statement.name_path)
        if name not in self.tables:
            raise RefusedError(f"Table not found: {'.'.join(name)}")
        for action in statement.alter_action_list:
            node = action
            while "node" in node.DESCRIPTOR.oneofs_by_name:
                node = getattr(node, node.WhichOneof("node"))
            if node.DESCRIPTOR.name == "ResolvedRenameToActionProto":
                self.tables[(*name[:-1], *node.new_path)] = self.tables.pop(name)
            elif node.DESCRIPTOR.name == "ResolvedAddColumnActionProto":
                column = (node.column_definition.name, node.column_definition.type)
                self.tables[name] = [*self.tables[name], column]
            else:
                raise NotImplementedError(
                    f"{node.DESCRIPTOR.name}: teach tests/sql/analyzer/catalog.py what it does to a table."
                )

    def _placed(self, statement: Any) -> Name:
        """Return the name that is created; its dataset must exist, which the analyzer does not look at."""
        name = tuple(statement.name_path)
        if name[:-1] not in self.datasets:
            raise RefusedError(f"Dataset not found: {'.'.join(name[:-1])}, for {name[-1]}")
        return name


def _statement(resolved: Any) -> Any:
    """Return the part of a CREATE that has the name: some kinds nest it once more."""
    node = resolved
    while "name_path" not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return node


def _leaves_what_is_there(statement: Any) -> bool:
    mode = statement.DESCRIPTOR.fields_by_name["create_mode"].enum_type.values_by_number[statement.create_mode].name
    return mode == "CREATE_IF_NOT_EXISTS"


def _documented(kind: str) -> Any:
    """Return a documented type; the only named structure is that of labels."""
    if kind == "ARRAY<STRUCT<key STRING, value STRING>>":
        fields = [{"name": name, "type": {"type": "STRING"}} for name in ("key", "value")]
        return type_proto({"type": "ARRAY", "arrayType": {"type": "STRUCT", "structTypes": fields}})
    return type_proto(type_of(kind))
