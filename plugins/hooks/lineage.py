"""What our operators read and write, named as OpenLineage names data sets; sent by Airflow's OpenLineage provider.

The provider asks for it after a task, and only where a connection or a transport is configured (docs/observability.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import BaseHook

from drawsguard.settings import get_settings

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


class DataSet(NamedTuple):
    """A table.

    :param namespace: the engine, e.g. ``bigquery`` or ``mysql://host:3306``.
    :param name: the table's full name there.
    """

    namespace: str
    name: str


def bigquery_table(dataset: str, table: str) -> DataSet:
    """Return a table of the warehouse.

    :param dataset: ``source``, ``target`` or ``monitor``.
    """
    return DataSet("bigquery", get_settings().table(dataset, table).strip("`"))


def served_table(engine: str, conn_id: str, table: str, port: int) -> DataSet:
    """Return a table of a server that a connection names.

    :param engine: ``hive`` or ``mysql``.
    :param table: ``schema.table``, or a table of the connection's own schema.
    :param port: where the connection names none.
    """
    connection = BaseHook.get_connection(conn_id)
    name = table if "." in table else f"{connection.schema}.{table}"
    return DataSet(f"{engine}://{connection.host}:{connection.port or port}", name)


def hive_table(conn_id: str, table: str) -> DataSet:
    """Return a table of Hive."""
    return served_table("hive", conn_id, table, 10_000)


def mysql_table(conn_id: str, table: str) -> DataSet:
    """Return a table of MySQL."""
    return served_table("mysql", conn_id, table, 3306)


def lineage(inputs: list[DataSet], outputs: list[DataSet]) -> OperatorLineage[Any, Any]:
    """Return what the provider sends."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    read, written = [InputDataset(*one) for one in inputs], [OutputDataset(*one) for one in outputs]
    return OperatorLineage(inputs=read, outputs=written)
