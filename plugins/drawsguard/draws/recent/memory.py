"""What a stage remembers from one run to the next, so that it need not ask BigQuery again for what has not changed.

Nothing that is remembered is evidence: it is worth something only together with the stamp of what it was learnt from,
and whoever remembers nothing asks.
"""

from __future__ import annotations

from typing import Any, Protocol


class Memory(Protocol):
    """Keeps JSON values by name."""

    def recall(self, name: str) -> Any:
        """Return what was kept last under this name; None when nothing is known, for whatever reason."""

    def keep(self, name: str, value: Any) -> None:
        """Keep a value, or do not: no work may depend on it."""


class NoMemory:
    """Remembers nothing: everything is asked each time."""

    def recall(self, name: str) -> Any:  # noqa: ARG002 - the protocol
        return None

    def keep(self, name: str, value: Any) -> None:
        pass


class Notes(dict[str, Any]):
    """Remembers as long as it lives."""

    def recall(self, name: str) -> Any:
        return self.get(name)

    def keep(self, name: str, value: Any) -> None:
        self[name] = value
