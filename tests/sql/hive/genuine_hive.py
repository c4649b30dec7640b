"""Genuine Apache Hive, from the jars that PySpark carries, as a judge: one JVM, with connections like PyHive's.

The embedded stack's HiveServer2 is Spark, which takes statements that Hive refuses. Here the statements meet Hive's own
parser, semantic analyzer, metastore (Derby, in memory) and MapReduce (in the same process), under `hive-site.xml`.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from pyhive.exc import OperationalError, ProgrammingError
from pyhive.hive import _escaper

from local.services import java_home, spark_home

HERE = Path(__file__).parent

#: What Hive 2.3 and Hadoop reach into, and Java 17 has closed.
_OPENED = """
java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent
java.util.concurrent.atomic java.util.regex java.text java.math java.time sun.nio.ch sun.nio.cs sun.security.action
sun.util.calendar jdk.internal.ref jdk.internal.misc
"""


class Answer(NamedTuple):
    """Names and types of the columns, and the rows; both empty for a statement that returns nothing."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]


#: A JVM writes its counters into a folder of the system's /tmp, whatever it is told is temporary.
NO_COUNTERS = "-XX:-UsePerfData"


class Judge:
    """The JVM. A connection is a session of Hive: what it SETs, others do not see.

    :param folder: where warehouse and scratch files go; it has to exist.
    """

    def __init__(self, folder: Path) -> None:
        home, jars = java_home("javac"), spark_home() / "jars"
        classes = folder / "classes"
        sources = sorted(map(str, HERE.joinpath("judge").rglob("*.java")))
        subprocess.run(
            [
                f"{home}/bin/javac", f"-J{NO_COUNTERS}",
                "-nowarn", "-proc:none", "-d", classes, "-cp", f"{jars}/*", *sources,
            ],
            check=True,
        )  # fmt: skip
        self._log = (folder / "hive.log").open("w+")
        self._process = subprocess.Popen(
            [
                f"{home}/bin/java",
                "-Xmx1g",
                NO_COUNTERS,
                "-XX:+UseSerialGC",
                "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote",  # the jars are known to be good
                "-XX:TieredStopAtLevel=1",  # it lives for a minute: quick compilation beats good code
                *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED.split()),
                f"-Djudge.folder={folder}",
                f"-Dderby.stream.error.file={folder}/derby.log",
                f"-Djava.io.tmpdir={folder}",
                "-cp",
                str(classes),
                "Launcher",
                str(classes),
                str(HERE) + "/",  # hive-site.xml
                *map(str, sorted(jars.glob("*.jar"))),
            ],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, encoding="utf-8",
        )  # fmt: skip
        self._sessions = itertools.count(1)

    def ask(self, session: int, statement: str | None) -> Answer:
        """Run a statement in a session, which a new number opens; None closes it.

        :raises OperationalError: with Hive's number and message; the class that PyHive raises.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"session": session, "statement": statement}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the JVM ended: {self.log()[-4000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise OperationalError(f"[Error {answer['code']}] {answer['error']}")
        columns = [(name, kind) for name, kind in answer.get("columns", [])]
        return Answer(columns, [tuple(row) for row in answer.get("rows", [])])

    def connect(self, **_where: Any) -> Connection:
        """Return a connection; takes and ignores what `pyhive.hive.connect` takes."""
        return Connection(self, next(self._sessions))

    def log(self) -> str:
        """Return what Hive printed."""
        self._log.seek(0)
        return self._log.read()

    @property
    def pid(self) -> int:
        """The JVM's process."""
        return self._process.pid

    def close(self) -> None:
        """End the JVM."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Connection:
    """The part of a PyHive connection that Airflow's hook and our code use."""

    def __init__(self, judge: Judge, session: int) -> None:
        self.judge = judge
        self.session = session

    def cursor(self, arraysize: int = 1000) -> Cursor:
        return Cursor(self, arraysize)

    def commit(self) -> None:
        """Nothing to do, as with PyHive."""

    def close(self) -> None:
        self.judge.ask(self.session, None)


class Cursor:
    """The part of a PyHive cursor that Airflow's hook and our code use. Values are bound by PyHive itself."""

    def __init__(self, connection: Connection, arraysize: int) -> None:
        self.arraysize = arraysize
        self.rowcount = -1
        self._connection = connection
        self._answer = Answer([], [])

    def execute(self, operation: str, parameters: Any = None) -> None:
        bound = operation if parameters is None else operation % _escaper.escape_args(parameters)
        self._answer = self._connection.judge.ask(self._connection.session, bound)

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        columns = self._answer.columns
        return [(name, kind, None, None, None, None, True) for name, kind in columns] if columns else None

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        if not self._answer.columns:
            raise ProgrammingError("No result set")
        some, rest = self._answer.rows[:size], self._answer.rows[size:]
        self._answer = self._answer._replace(rows=rest)
        return some

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.fetchmany(len(self._answer.rows))

    def close(self) -> None:
        """Nothing to do: the answer came whole."""

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()
