"""What tasks remember of an asset, in Airflow's state store of assets."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowRuntimeError

from drawsguard.draws.recent.memory import Memory, NoMemory

log = logging.getLogger(__name__)

#: Whose state it is: that of everything that the stages of the draws have in common. An inlet of each task that looks.
DRAWS = Asset("drawsguard.draws")


class AssetMemory:
    """Remembers across runs and DAGs. A store that cannot be reached remembers nothing, and fails nothing.

    :param store: ``context["asset_state_store"][asset]``.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def recall(self, name: str) -> Any:
        try:
            return self._store.get(name)
        except AirflowRuntimeError as error:
            log.warning("%r is not remembered, and is asked for again: %s", name, error)
            return None

    def keep(self, name: str, value: Any) -> None:
        try:
            self._store.set(name, value)
        except AirflowRuntimeError as error:
            log.warning("%r could not be kept, and will be asked for again: %s", name, error)


def memory_of(context: Any) -> Memory:
    """Return what the task of ``context`` remembers; nothing without a scheduler, or without `DRAWS` as an inlet."""
    stores = context.get("asset_state_store")
    if stores is None:
        return NoMemory()
    try:
        return AssetMemory(stores[DRAWS])
    except KeyError:
        return NoMemory()
