"""Digests that bind a confirmation or an approval to exactly what was shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def digest_of(values: Iterable[Any]) -> str:
    """Return the SHA-256 (64 hex digits) over ``values``, each as canonical JSON on a line of its own."""
    hasher = hashlib.sha256()
    for value in values:
        hasher.update(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())
        hasher.update(b"\n")
    return hasher.hexdigest()
