"""Looks at both environments and at Redis as somebody outside the pipeline would, and changes them by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from typing import Any

import MySQLdb
import redis

from drawsguard.points.database import prepare
from drawsguard.points.environments import ENVIRONMENTS, journal_schema
from drawsguard.points.telemetry.config import cluster_instances
from local.config import MYSQL_GRANTS, Config, mysql_database
from local.golden.load import load_environment
from local.points_histories.definitions import FIRST_FILLER, TABLES, Definitions, Place
from local.points_histories.oracle import Entry, Look, Row, RowKey, Rows
from local.points_schema import migrate_all

_POINT = (
    "id, status, people, lv1, lv2, description, `table`, modeltype, cluster, demand, last_modify_time, created_time"
)
_TAG = "id, status, name, people, eids, last_modify_time"
#: A mode that refuses nothing: what somebody wrote by hand once.
_ANY_MODE = ""
#: Keys of hashes whose fields belong to different points.
_SHARED = b"evt:user:"


def _texts(table: str) -> str:
    columns = _POINT if "nosdata" in table else _TAG
    return ", ".join(f"CAST({column} AS CHAR)" for column in columns.split(", "))


def _rows_of(table: str) -> str:
    return f"SELECT '{table}', {_texts(table)} FROM {table} WHERE id < {FIRST_FILLER}"  # noqa: S608 - our own names


#: Every row of the tables of points, and of tags, but for those that only make the tables large enough.
_ALL_ROWS = tuple(
    " UNION ALL ".join(_rows_of(table) for table in TABLES if kind in table) for kind in ("nosdata", "nostag")
)


class Sight:
    """Connections of their own, which no fault touches."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.servers = {name: self._open(f"{name}_schema") for name in ("governance", *ENVIRONMENTS)}
        instances = sorted({name for names in cluster_instances().values() for name in names})
        self.redis = {name: _client(config, name) for name in instances}

    def close(self) -> None:
        for connection in self.servers.values():
            connection.close()
        for client in self.redis.values():
            client.close()

    def _open(self, user: str) -> Any:
        connection = MySQLdb.connect(
            host=self._config.host("mysql"),
            port=self._config.port("MYSQL_PORT"),
            user=user,
            password=self._config.secret(f"mysql_{user}"),
            database=mysql_database(user),
            charset="utf8mb4",
        )
        prepare(connection, _ANY_MODE)
        connection.autocommit(True)
        return connection

    # --- MySQL --------------------------------------------------------------------------------------------------
    def sql(self, server: str, statement: str, *values: Any, at: datetime | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, at a moment of the server's clock."""
        with closing(self.servers[server].cursor()) as cursor:
            if at:
                cursor.execute(f"SET timestamp = {at.timestamp()}")
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def empty(self) -> None:
        """Drop everything that migrations make, and backups; then migrate."""
        for server, connection in self.servers.items():
            with closing(connection.cursor()) as cursor:
                for schema in MYSQL_GRANTS[server]:
                    cursor.execute(
                        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
                    )
                    for (table,) in cursor.fetchall():
                        cursor.execute(f"DROP TABLE `{schema}`.`{table}`")
        migrate_all(self._config)

    def load(self, made: Definitions) -> None:
        for name in ENVIRONMENTS:
            self.servers[name].autocommit(False)
            load_environment(self.servers[name], getattr(made, name))
            self.servers[name].autocommit(True)
        for client in self.redis.values():
            client.flushdb()
        for instance, key, field in made.keys:
            if field is not None:
                self.redis[instance].hset(key, field, b"1")
            elif b":day:" in key:
                self.redis[instance].hset(key, b"uid", b"1")
            else:
                self.redis[instance].set(key, b"1")

    def rows(self) -> Rows:
        found: Rows = {}
        for name in ENVIRONMENTS:
            for statement in _ALL_ROWS:
                for table, *row in self.sql(name, statement):
                    found.setdefault((name, table, int(row[0])), Counter())[tuple(row)] += 1
        return found

    def journal(self) -> frozenset[tuple[Entry, int]]:
        found: Counter[Entry] = Counter()
        for name in ENVIRONMENTS:
            found.update(
                Entry(batch, environment, table, int(number), int(status), text, state)
                for batch, environment, table, number, status, text, state in self.sql(
                    name,
                    "SELECT batch_id, environment, table_name, row_id, old_status, last_modify_time, state"  # noqa: S608
                    f" FROM {journal_schema(name)}.points_journal",
                )
            )
        return frozenset(found.items())

    def backups(self, batch: str, keys: Iterable[RowKey]) -> dict[RowKey, Counter[Row]]:
        """Return what the backups of a batch hold of some rows."""
        places = {
            (environment, table): place
            for environment, table, place in self.sql(
                "governance",
                "SELECT environment, table_name, backup_table FROM points_lifecycle.backup WHERE batch_id = %s",
                batch,
            )
        }
        found: dict[RowKey, Counter[Row]] = {}
        for environment, table, number in keys:
            if place := places.get((environment, table)):
                rows = self.sql(environment, f"SELECT {_texts(table)} FROM {place} WHERE id = %s", number)  # noqa: S608
                found[environment, table, number] = Counter(rows)
        return found

    # --- evidence -----------------------------------------------------------------------------------------------
    def published(self) -> list[tuple[str, date, date, int, int, int, str]]:
        """Return the ledger: batch, window, rows, sum, checksum, when (text, UTC)."""
        return [
            (batch, first, last, int(rows), int(total), int(checksum), text)
            for batch, first, last, rows, total, checksum, text in self.sql(
                "governance",
                "SELECT batch_id, window_start, window_end, row_count, eid_sum, checksum,"
                " CAST(published_at AS CHAR) FROM rsp_datagovern.evidence_batch WHERE flow = 'window'",
            )
        ]

    # --- Redis --------------------------------------------------------------------------------------------------
    def keys(self) -> frozenset[Place]:
        """Return every key of every instance, and the fields of the hashes that points share."""
        numbers = [client.connection_pool.connection_kwargs["db"] for client in self.redis.values()]
        instances = dict(zip(numbers, self.redis, strict=True))
        any_client = next(iter(self.redis.values()))
        text = any_client.eval(_EVERYTHING, 0, _SHARED, *numbers)
        parts = (line.split(b"\x1f") for line in text.split(b"\x1e")[:-1])
        return frozenset((instances[int(number)], key, field or None) for number, key, field in parts)

    def look(self) -> Look:
        return Look(self.rows(), self.journal(), self.keys())


#: The instances are databases of one server here.
_EVERYTHING = """
local found = {}
local function note(...) table.insert(found, table.concat({...}, string.char(31)) .. string.char(30)) end
for number = 2, #ARGV do
  redis.call('SELECT', ARGV[number])
  for _, key in ipairs(redis.call('KEYS', '*')) do
    if string.sub(key, 1, #ARGV[1]) == ARGV[1] then
      for _, field in ipairs(redis.call('HKEYS', key)) do note(ARGV[number], key, field) end
    else
      note(ARGV[number], key, '')
    end
  end
end
return table.concat(found)
"""


def _client(config: Config, name: str) -> Any:
    url = config.airflow_environment()[f"AIRFLOW_CONN_{name.replace('-', '_').upper()}"]
    return redis.Redis(
        port=config.port("REDIS_PORT"),
        host=config.host("redis"),
        password=config.secret("redis"),
        db=int(url.rpartition("db=")[2]),
    )
