"""The storage structure of a point, read for cleanup: where in Redis its data is.

What NOS may answer is decided in `drawsguard.points.downline.structures` and kept by its repository. Here the kept
texts become templates (`drawsguard.points.cleanup.template`), and what no pattern may delete is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from drawsguard.points.cleanup.config import Match
from drawsguard.points.cleanup.template import Template, TemplateError, VariableClasses, parse_template
from drawsguard.points.downline.structure_repository import Structure as StoredStructure
from drawsguard.points.downline.structures import DATA_TYPES


class StructureError(ValueError):
    """A storage structure cannot be used for cleanup; the message names the point and the reason."""


@dataclass(frozen=True)
class Structure:
    """Where a point keeps its data.

    :param eid: the point's id.
    :param cluster: the point's cluster, e.g. ``redis_evt_A``.
    :param redis_type: the type its keys must have.
    :param key: template of its keys.
    :param field: template of its hash fields; None when the whole key belongs to the point.
    """

    eid: int
    cluster: str
    redis_type: str
    key: Template
    field: Template | None

    @property
    def key_match(self) -> Match:
        """Whether the key is exact or a pattern."""
        return "exact" if self.key.is_exact else "pattern"

    @property
    def field_match(self) -> Match:
        """Whether there is a field, and whether it is exact or a pattern."""
        if self.field is None:
            return "none"
        return "exact" if self.field.is_exact else "pattern"


def read_structure(stored: StoredStructure, classes: VariableClasses, *, minimum_literal_bytes: int = 1) -> Structure:
    """Read a structure as the lifecycle keeps it.

    :param stored: the structure that NOS described.
    :param classes: which bytes the templates' variables may hold.
    :param minimum_literal_bytes: a key pattern that fixes fewer bytes is refused.
    :raises StructureError: for an unreadable template, an unknown type, a field of a type other than hash, or a
        key pattern that fixes too few bytes.
    """
    eid, redis_type = stored.point_id, stored.data_type
    if redis_type not in DATA_TYPES:
        raise StructureError(f"Point {eid}: {redis_type!r} is not a Redis type; expected one of {sorted(DATA_TYPES)}.")
    try:
        key = parse_template(stored.key_template, classes)
        field = None if stored.field_template is None else parse_template(stored.field_template, classes)
    except TemplateError as error:
        raise StructureError(f"Point {eid}: {error}") from error
    if field is not None and redis_type != "hash":
        raise StructureError(f"Point {eid}: has the field {field.text!r} although its type is {redis_type}, not hash.")
    if not key.is_exact and key.literal_bytes < minimum_literal_bytes:
        raise StructureError(
            f"Point {eid}: the key pattern {key.text!r} fixes {key.literal_bytes} bytes, fewer than "
            f"{minimum_literal_bytes}; it could match keys of others, so a person must handle it."
        )
    return Structure(eid, stored.cluster, redis_type, key, field)
