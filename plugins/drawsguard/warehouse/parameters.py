"""Values as BigQuery query parameters: `bind` gives each its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from google.cloud.bigquery import (
    ArrayQueryParameter,
    ArrayQueryParameterType,
    ScalarQueryParameter,
    ScalarQueryParameterType,
    StructQueryParameter,
    StructQueryParameterType,
)

Parameter = ScalarQueryParameter | ArrayQueryParameter


@dataclass(frozen=True)
class Typed:
    """A value whose BigQuery type cannot be seen from the value itself: NULL, or an empty array.

    ``Typed("TIMESTAMP", None)`` is a NULL timestamp, ``Typed("INT64", [])`` an empty array of integers.
    """

    type: str
    value: Any


@dataclass(frozen=True)
class StructArray:
    """Rows as one parameter, ``ARRAY<STRUCT<…>>``.

    :param fields: type by field, in the order of the struct; ``ARRAY<INT64>`` is a repeated field.
    :param rows: objects whose attributes have the names of the fields.
    """

    fields: Mapping[str, str]
    rows: Sequence[Any]

    def parameter(self, name: str) -> ArrayQueryParameter:
        """Return the rows as the query parameter ``@<name>``."""
        types = StructQueryParameterType(*(_field_type(field, kind) for field, kind in self.fields.items()))
        return ArrayQueryParameter(name, types, [self._struct(row) for row in self.rows])

    def _struct(self, row: Any) -> StructQueryParameter:
        return StructQueryParameter(None, *(_field(row, field, kind) for field, kind in self.fields.items()))


def _element_of(kind: str) -> str | None:
    """Return the element type of ``ARRAY<…>``, None for a scalar type."""
    return kind[len("ARRAY<") : -1] if kind.startswith("ARRAY<") else None


def _field_type(field: str, kind: str) -> ScalarQueryParameterType | ArrayQueryParameterType:
    if element := _element_of(kind):
        return ArrayQueryParameterType(ScalarQueryParameterType(element), name=field)
    return ScalarQueryParameterType(kind, name=field)


def _field(row: Any, field: str, kind: str) -> Parameter:
    value = getattr(row, field)
    if element := _element_of(kind):
        return ArrayQueryParameter(field, element, list(value))
    return ScalarQueryParameter(field, kind, value)


# bool before int and datetime before date: each is a subclass of the other.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "NUMERIC"),
    (str, "STRING"),
    (bytes, "BYTES"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
)


def _type_of(name: str, value: Any) -> str:
    for python_type, bigquery_type in _TYPES:
        if isinstance(value, python_type):
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"Parameter @{name}={value!r} has no time zone; pass an aware datetime.")
            return bigquery_type
    raise TypeError(f"Parameter @{name}={value!r} has no known BigQuery type; wrap it as Typed(type, value).")


def bind(**values: Any) -> list[Parameter]:
    """Return typed query parameters, one a keyword.

    :param values: Python values; datetimes are aware. NULL and empty arrays are wrapped in `Typed`, rows in
        `StructArray`.
    :raises TypeError: when a value's BigQuery type is not known.
    :raises ValueError: when a datetime has no time zone.
    """
    return [_bound(name, value) for name, value in values.items()]


def _bound(name: str, value: Any) -> Parameter:
    if isinstance(value, StructArray):
        return value.parameter(name)
    bare, declared = (value.value, value.type) if isinstance(value, Typed) else (value, None)
    if not isinstance(bare, list | tuple):
        return ScalarQueryParameter(name, declared or _type_of(name, bare), bare)
    if not bare and declared is None:
        raise TypeError(f"Parameter @{name} is an empty array; wrap it as Typed(type, []).")
    return ArrayQueryParameter(name, declared or _type_of(name, bare[0]), list(bare))
