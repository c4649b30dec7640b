"""Values get their BigQuery types."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from drawsguard.warehouse.parameters import StructArray, Typed, bind


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "BOOL"),
        (1, "INT64"),
        (1.5, "FLOAT64"),
        ("a", "STRING"),
        (datetime(2025, 1, 1, tzinfo=UTC), "TIMESTAMP"),
        (date(2025, 1, 1), "DATE"),
        (Typed("TIMESTAMP", None), "TIMESTAMP"),
    ],
)
def test_bind_types_scalars(value: object, expected: str) -> None:
    (parameter,) = bind(name=value)
    assert parameter.to_api_repr()["parameterType"] == {"type": expected}


@pytest.mark.parametrize(("value", "expected"), [([1, 2], "INT64"), (["a"], "STRING"), (Typed("INT64", []), "INT64")])
def test_bind_types_arrays(value: object, expected: str) -> None:
    (parameter,) = bind(name=value)
    assert parameter.to_api_repr()["parameterType"] == {"type": "ARRAY", "arrayType": {"type": expected}}


@pytest.mark.parametrize("value", [None, [], object()])
def test_bind_refuses_values_without_a_known_type(value: object) -> None:
    with pytest.raises(TypeError, match="@name"):
        bind(name=value)


def test_bind_refuses_a_time_without_zone() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        bind(at=datetime(2025, 1, 1))  # noqa: DTZ001 - the fault under test


def test_bind_makes_rows_an_array_of_structs() -> None:
    rows = [SimpleNamespace(period=1, numbers=(1, 2)), SimpleNamespace(period=None, numbers=())]
    (parameter,) = bind(rows=StructArray({"period": "INT64", "numbers": "ARRAY<INT64>"}, rows))
    resource = parameter.to_api_repr()
    assert resource["parameterType"]["arrayType"]["structTypes"] == [
        {"name": "period", "type": {"type": "INT64"}},
        {"name": "numbers", "type": {"type": "ARRAY", "arrayType": {"type": "INT64"}}},
    ]
    first, second = (value["structValues"] for value in resource["parameterValue"]["arrayValues"])
    assert first == {"period": {"value": "1"}, "numbers": {"arrayValues": [{"value": "1"}, {"value": "2"}]}}
    assert second == {"period": {"value": None}, "numbers": {"arrayValues": []}}


def test_no_rows_keep_their_type() -> None:
    (parameter,) = bind(rows=StructArray({"period": "INT64"}, []))
    assert parameter.to_api_repr()["parameterType"]["arrayType"]["type"] == "STRUCT"
