"""Storage structures: how NOS describes where a point lives in Redis, and the workbook that keeps them.

What the templates match in Redis is decided in `drawsguard.points.cleanup.structure`, which reads what is kept here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from openpyxl import Workbook

from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.sheets import add_table

#: The workbook's name, as the teams know it.
STRUCTURE_WORKBOOK = "下线积分存储结构信息.xlsx"

DATA_TYPES = frozenset({"string", "hash", "set", "zset", "list"})

_HEADERS = (
    ("积分 id", 12),
    ("集群 cluster", 18),
    ("类型 type", 10),
    ("key 模板 key template", 48),
    ("field 模板 field template", 48),
)
#: Text and placeholders in braces; a lone brace, or a line break, would make a cleanup pattern match too much.
_TEMPLATE = re.compile(r"(?:[^{}\x00-\x1f\x7f]|\{[A-Za-z_][A-Za-z0-9_]*\})+")
#: Characters, as the tables keep them (points_lifecycle.structure).
_LONGEST, _LONGEST_CLUSTER = 512, 64
#: Half a character, which nothing can store.
_HALF = re.compile("[\ud800-\udfff]")


class StructureError(ValueError):
    """NOS did not describe a usable structure."""


def parse_structure(point_id: int, payload: str) -> Structure:
    """Read the JSON object of an OK answer.

    :param payload: ``{"cluster": …, "type": …, "key": …, "field": … or null}``.
    :raises StructureError: naming the point and what is wrong with its description.
    """
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise StructureError(f"NOS describes point {point_id} by {payload[:120]!r}, which is not JSON.") from error
    if not isinstance(values, dict) or set(values) != {"cluster", "type", "key", "field"}:
        raise StructureError(f"NOS describes point {point_id} by {payload[:120]!r}, not by cluster, type, key, field.")
    cluster, data_type, key, field = (values[name] for name in ("cluster", "type", "key", "field"))
    if not _is_text(cluster, _LONGEST_CLUSTER):
        raise StructureError(f"NOS names cluster {str(cluster)[:80]!r} for point {point_id}.")
    if not isinstance(data_type, str) or data_type not in DATA_TYPES:
        raise StructureError(f"NOS names type {data_type!r} for point {point_id}; known: {sorted(DATA_TYPES)}.")
    if field is not None and data_type != "hash":
        raise StructureError(f"NOS names a field for point {point_id}, but its type is {data_type}.")
    for name, template in (("key", key), ("field", field)):
        if template is None and name == "field":
            continue
        if not _is_text(template, _LONGEST) or not _TEMPLATE.fullmatch(template):
            raise StructureError(f"NOS names the {name} template {template!r} for point {point_id}, which is unusable.")
    return Structure(point_id, cluster, data_type, key, field)


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and not _HALF.search(value)


def write_structures(path: Path, structures: Iterable[Structure]) -> None:
    """Write the structures' workbook."""
    workbook = Workbook(write_only=True)
    rows = [(row.point_id, row.cluster, row.data_type, row.key_template, row.field_template) for row in structures]
    add_table(workbook, "存储结构 structures", [], _HEADERS, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
