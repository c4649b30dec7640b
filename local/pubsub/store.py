"""Topics, subscriptions and messages in one SQLite file; a message is kept until each subscription acknowledged it."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, definition BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (
  name TEXT PRIMARY KEY, topic TEXT NOT NULL, ack_seconds REAL NOT NULL, definition BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY, subscription TEXT NOT NULL, message BLOB NOT NULL, published REAL NOT NULL,
  ack_id TEXT, leased_until REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  acked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (subscription, acked, leased_until);
"""


class MissingError(KeyError):
    """The topic or subscription does not exist."""


class ExistsError(ValueError):
    """The topic or subscription exists already."""


@dataclass(frozen=True)
class Delivery:
    """One message handed out: acknowledge ``ack_id`` before the lease ends, or it is handed out again."""

    ack_id: str
    message: bytes
    attempt: int


class Store:
    """The server's durable state. Times are seconds since the epoch.

    :param folder: where the file lives.
    :param clock: returns the present time.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._clock = clock
        self._connection = sqlite3.connect(folder / "pubsub.sqlite", check_same_thread=False, isolation_level=None)
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    # --- topics and subscriptions -----------------------------------------------------------------
    def create_topic(self, name: str, definition: bytes) -> None:
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM topics WHERE name = ?", (name,)).fetchone():
                raise ExistsError(name)
            db.execute("INSERT INTO topics VALUES (?, ?)", (name, definition))

    def topic(self, name: str) -> bytes:
        return self._definition("SELECT definition FROM topics WHERE name = ?", name)

    def topics(self, project: str) -> list[bytes]:
        return self._definitions("SELECT definition FROM topics WHERE name LIKE ? ORDER BY name", f"{project}/topics/%")

    def delete_topic(self, name: str) -> None:
        self.topic(name)
        with self._transaction() as db:
            db.execute("DELETE FROM topics WHERE name = ?", (name,))
            db.execute("UPDATE subscriptions SET topic = '_deleted-topic_' WHERE topic = ?", (name,))

    def create_subscription(self, name: str, topic: str, ack_seconds: float, definition: bytes) -> None:
        self.topic(topic)
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM subscriptions WHERE name = ?", (name,)).fetchone():
                raise ExistsError(name)
            db.execute("INSERT INTO subscriptions VALUES (?, ?, ?, ?)", (name, topic, ack_seconds, definition))

    def subscription(self, name: str) -> bytes:
        return self._definition("SELECT definition FROM subscriptions WHERE name = ?", name)

    def subscriptions(self, project: str) -> list[bytes]:
        statement = "SELECT definition FROM subscriptions WHERE name LIKE ? ORDER BY name"
        return self._definitions(statement, f"{project}/subscriptions/%")

    def subscription_names(self, topic: str) -> list[str]:
        self.topic(topic)
        with self._lock:
            rows = self._connection.execute("SELECT name FROM subscriptions WHERE topic = ? ORDER BY name", (topic,))
            return [name for (name,) in rows]

    def delete_subscription(self, name: str) -> None:
        self.subscription(name)
        with self._transaction() as db:
            db.execute("DELETE FROM subscriptions WHERE name = ?", (name,))
            db.execute("DELETE FROM deliveries WHERE subscription = ?", (name,))

    def _definition(self, statement: str, name: str) -> bytes:
        with self._lock:
            row = self._connection.execute(statement, (name,)).fetchone()
        if row is None:
            raise MissingError(name)
        return bytes(row[0])

    def _definitions(self, statement: str, pattern: str) -> list[bytes]:
        with self._lock:
            return [definition for (definition,) in self._connection.execute(statement, (pattern,))]

    # --- messages ---------------------------------------------------------------------------------
    def publish(self, topic: str, messages: list[bytes]) -> None:
        """Pass each message to every current subscription of the topic; without one it is lost."""
        names = self.subscription_names(topic)
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO deliveries (subscription, message, published) VALUES (?, ?, ?)",
                [(name, message, self._clock()) for message in messages for name in names],
            )

    def pull(self, subscription: str, limit: int) -> list[Delivery]:
        """Lease up to ``limit`` messages, oldest first, that are neither acknowledged nor leased."""
        self.subscription(subscription)
        with self._transaction() as db:
            now = self._clock()
            (seconds,) = db.execute("SELECT ack_seconds FROM subscriptions WHERE name = ?", (subscription,)).fetchone()
            rows = db.execute(
                "SELECT id, message, attempts FROM deliveries "
                "WHERE subscription = ? AND acked = 0 AND leased_until <= ? ORDER BY id LIMIT ?",
                (subscription, now, limit),
            ).fetchall()
            leased = [(Delivery(uuid.uuid4().hex, message, attempts + 1), row) for row, message, attempts in rows]
            db.executemany(
                "UPDATE deliveries SET ack_id = ?, leased_until = ?, attempts = ? WHERE id = ?",
                [(delivery.ack_id, now + seconds, delivery.attempt, row) for delivery, row in leased],
            )
        return [delivery for delivery, _ in leased]

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        """Acknowledge leased messages; an ack id whose lease has ended has no effect."""
        self._update("acked = 1", subscription, ack_ids, ())

    def extend(self, subscription: str, ack_ids: list[str], seconds: float) -> None:
        """Move the end of leases to ``seconds`` from now; 0 hands the message out again at once."""
        self._update("leased_until = ?", subscription, ack_ids, (self._clock() + seconds,))

    def _update(self, assignment: str, subscription: str, ack_ids: list[str], values: tuple[float, ...]) -> None:
        self.subscription(subscription)
        with self._transaction() as db:
            db.executemany(
                f"UPDATE deliveries SET {assignment} "  # noqa: S608 - one of two literals above
                "WHERE subscription = ? AND ack_id = ? AND leased_until > ?",
                [(*values, subscription, ack_id, self._clock()) for ack_id in ack_ids],
            )

    def seek(self, subscription: str, to: float) -> None:
        """Acknowledge what was published before ``to`` and hand out again everything after it."""
        self.subscription(subscription)
        with self._transaction() as db:
            db.execute(
                "UPDATE deliveries SET acked = published < ?, leased_until = 0 WHERE subscription = ?",
                (to, subscription),
            )

    def depth(self) -> dict[str, int]:
        """Return how many messages each subscription has not acknowledged."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT s.name, COUNT(d.id) FROM subscriptions s "
                "LEFT JOIN deliveries d ON d.subscription = s.name AND d.acked = 0 GROUP BY s.name"
            )
            return dict(rows.fetchall())
