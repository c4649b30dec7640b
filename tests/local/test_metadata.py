"""The metadata database of the embedded stack: a savepoint waits for its turn, as creating a backfill needs it."""

import threading

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from local.metadata import airflow_local_settings


@pytest.fixture
def database(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'metadata.db'}", connect_args={"timeout": 10})
    with engine.begin() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        connection.execute(text("CREATE TABLE run (name TEXT)"))
    yield engine
    engine.dispose()


def _read_then_write_while_another_writes(engine: Engine) -> None:
    """Read and write in a savepoint, as ``POST /backfills`` does; another process writes in between."""

    def other() -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO run VALUES ('scheduler')"))

    writer = threading.Thread(target=other)
    with engine.connect() as connection:
        with connection.begin_nested():
            connection.execute(text("SELECT COUNT(*) FROM run")).scalar()
            writer.start()
            writer.join(timeout=1)
            connection.execute(text("INSERT INTO run VALUES ('backfill')"))
        connection.commit()
    writer.join()


def _rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT COUNT(*) FROM run")).scalar_one()


def test_a_savepoint_takes_its_turn(database):
    _read_then_write_while_another_writes(database)
    assert _rows(database) == 2


def test_without_the_hook_the_write_is_refused_at_once(database):
    event.remove(Engine, "savepoint", airflow_local_settings._take_the_write_lock)
    try:
        with pytest.raises(OperationalError, match="database is locked"):
            _read_then_write_while_another_writes(database)
    finally:
        event.listen(Engine, "savepoint", airflow_local_settings._take_the_write_lock)
