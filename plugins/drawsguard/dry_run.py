"""Whether a run may change anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_dry_run(params: Mapping[str, Any] | None) -> bool:
    """Return whether a run only shows what it would do: always, unless its ``dry_run`` is exactly false."""
    return (params or {}).get("dry_run") is not False
