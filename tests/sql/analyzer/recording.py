"""What the code really sends to BigQuery: a genuine client whose HTTP goes nowhere, and is written down.

It is recorded at the REST API, below every way to run a statement: `Client.query`, `Client.query_and_wait`, a
`BigQueryInsertJobOperator`. So the parameters have the types that BigQuery would see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import dropwhile
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

import jinja2
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from drawsguard.settings import REPOSITORY, get_settings
from drawsguard.sql import DEFAULT_IDENTIFIERS, SQL_ROOT, Identifiers

LOCAL_SQL = REPOSITORY / "local" / "sql"

Row = Mapping[str, Any]
#: Rows, a status of HTTP (404: there is no such table), or a function of the bound values that returns one of these.
Answer = Sequence[Row] | int | Callable[[dict[str, Any]], "Sequence[Row] | int"]


@dataclass(frozen=True)
class Sent:
    """One statement as it was sent. ``file`` is relative to the repository, None for text that is in no file."""

    file: str | None
    text: str
    parameters: str
    rendered_with: str = "{}"
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        file: str | None,
        text: str,
        parameters: Sequence[Mapping[str, Any]],
        identifiers: Mapping[str, Identifiers] | None = None,
    ) -> Sent:
        types = {one["name"]: one["parameterType"] for one in parameters}
        return cls(
            file,
            text,
            json.dumps(types, sort_keys=True),
            json.dumps(identifiers or {}, sort_keys=True),
            {one["name"]: _bound(one) for one in parameters},
        )

    @cached_property
    def identifiers(self) -> dict[str, Identifiers]:
        """Names that were rendered into the text, beyond those of the settings."""
        return json.loads(self.rendered_with)

    @cached_property
    def types(self) -> dict[str, dict[str, Any]]:
        """Type by parameter, as the REST API states it."""
        return json.loads(self.parameters)

    def typing(self) -> str:
        """Return the parameters with their types, for people."""
        return ", ".join(f"@{name} {_shown(kind)}" for name, kind in self.types.items()) or "no parameters"


def _bound(parameter: Mapping[str, Any]) -> Any:
    """Return a bound value; of the types, only times are told from their text."""
    value = parameter["parameterValue"].get("value")
    if parameter["parameterType"]["type"] == "TIMESTAMP" and value is not None:
        return datetime.fromisoformat(value)
    return value


def _shown(kind: Mapping[str, Any]) -> str:
    if kind["type"] == "ARRAY":
        return f"ARRAY<{_shown(kind['arrayType'])}>"
    if kind["type"] == "STRUCT":
        fields = [f"{one.get('name', '')} {_shown(one['type'])}" for one in kind["structTypes"]]
        return f"STRUCT<{', '.join(fields)}>"
    return kind["type"]


@dataclass
class Recorder:
    """Keeps what is sent, and answers.

    :param answers: by file without ``.sql``, relative to its folder of statements (``repair/missing_periods``); a
        statement without an answer returns no rows.
    :param lists: whether rows can be listed without a statement; if not, what is listed elsewhere is asked for.
    :param partitions: rows that are listed, by ``dataset.table`` and day (``20260303``); there are no others.
    :param free: paths of what was asked for free of charge.
    :param streamed: table and row of what was streamed.
    :param loaded: table of each load of rows.
    """

    is_mtls: ClassVar[bool] = False  # the client asks its session

    answers: dict[str, Answer] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    lists: bool = False
    partitions: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)
    streamed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    _rendered: list[tuple[str, str, dict[str, Identifiers]]] = field(default_factory=list)
    _results: dict[str, Sequence[Row]] = field(default_factory=dict)
    _configurations: dict[str, Any] = field(default_factory=dict)

    def client(self) -> Client:
        """Return a client of the configured project whose requests come here."""
        settings = get_settings()
        http: Any = self
        return Client(settings.project, AnonymousCredentials(), _http=http, location=settings.location)

    # --- which file a text is from -----------------------------------------------------------------
    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Note what is rendered meanwhile, so that a statement's file is known."""
        genuine = jinja2.Template.render

        def render(template: jinja2.Template, *args: Any, **kwargs: Any) -> str:
            text = genuine(template, *args, **kwargs)
            if template.filename and template.filename.endswith(".sql"):
                names = {
                    name: value for name, value in dict(*args, **kwargs).items() if name not in DEFAULT_IDENTIFIERS
                }
                self._rendered.append((template.filename, _without_header(text), names))
            return text

        with mock.patch.object(jinja2.Template, "render", render):
            yield self

    def _source_of(self, text: str) -> tuple[str | None, dict[str, Identifiers]]:
        wanted = text.strip()
        for file, rendered, names in reversed(self._rendered):
            if rendered.strip() == wanted:
                return str(Path(file).relative_to(REPOSITORY)), names
        return None, {}

    # --- the session of requests that the client talks to ------------------------------------------
    def request(self, method: str, url: str, data: Any = None, **_: Any) -> requests.Response:
        path = urlsplit(url).path
        if path.startswith("/upload/"):  # a load of rows: the job, then the rows, in parts of one message
            job = json.loads(data.split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0])
            self.loaded.append(job["configuration"]["load"]["destinationTable"]["tableId"])
            return self._insert(job["configuration"], job["jobReference"])
        body = json.loads(data) if data else {}
        if method == "POST" and path.endswith("/jobs"):
            return self._insert(body["configuration"], body["jobReference"])
        if method == "POST" and path.endswith("/queries"):
            reference = {"jobId": f"job_{len(self.sent)}"}
            inserted = self._insert({"query": body}, reference)
            return inserted if inserted.status_code != 200 else self._results_of(reference["jobId"])
        if method == "GET" and (match := re.search(r"/(jobs|queries)/([^/]+)$", path)):
            return self._results_of(match[2]) if match[1] == "queries" else self._job(match[2])
        if method == "GET" and path.endswith("/data") and not self.lists:
            return _response({"error": {"code": 404, "message": "Not found"}}, 404)
        if method == "GET" and (match := re.search(r"/datasets/([^/]+)/tables/([^/]+)(/data)?$", path)):
            self.free.append(path)
            columns = parse_qs(urlsplit(url).query).get("selectedFields", [""])[0].split(",")
            return self._listed(match[1], unquote(match[2]), columns) if match[3] else self._table(match[1], match[2])
        if method == "POST" and path.endswith("/insertAll"):
            self.streamed += [(path.split("/")[-2], row) for row in body["rows"]]
            return _response({})
        raise NotImplementedError(f"{method} {path}: teach tests/sql/analyzer/recording.py to answer it.")

    def _listed(self, dataset: str, name: str, columns: Sequence[str]) -> requests.Response:
        """List a partition of a table, or its partitions; each of them changed last when its day began."""
        table, _, part = name.partition("$")
        days = self.partitions.get(f"{dataset}.{table}", {})
        rows: Sequence[Row] = days.get(part, [])
        if part == "__PARTITIONS_SUMMARY__":
            rows = [{"partition_id": day, "last_modified_time": int(day)} for day in days]
        cells = [{"f": [{"v": _cell(row[column])} for column in columns]} for row in rows]
        return _response({"rows": cells, "totalRows": str(len(rows))})

    @staticmethod
    def _table(dataset: str, name: str) -> requests.Response:
        """Answer with the metadata of an empty table that changed after it was made."""
        reference = {"projectId": get_settings().project, "datasetId": dataset, "tableId": name}
        return _response(
            {"tableReference": reference, "numRows": "0", "creationTime": "1000", "lastModifiedTime": "2000"}
        )

    def _insert(self, configuration: dict[str, Any], reference: dict[str, Any]) -> requests.Response:
        if "query" not in configuration:  # a load or a copy: no statement to judge
            self._results[reference["jobId"]] = ()
            self._configurations[reference["jobId"]] = configuration
            return self._job(reference["jobId"])
        query = configuration["query"]
        text, parameters = query["query"], query.get("queryParameters", [])
        file, identifiers = self._source_of(text)
        answer = self.answers.get(_key(file), ())
        if callable(answer):
            answer = answer({one["name"]: one["parameterValue"] for one in parameters} | {"statement": text})
        if isinstance(answer, int):  # a statement that BigQuery is expected to refuse: nothing to judge
            return _response({"error": {"code": answer, "message": f"{answer} for {file}"}}, answer)
        self.sent.append(Sent.of(file, text, parameters, identifiers))
        self._results[reference["jobId"]] = answer
        self._configurations[reference["jobId"]] = configuration
        return self._job(reference["jobId"])

    def _job(self, job_id: str) -> requests.Response:
        statistics = {"numDmlAffectedRows": "1", "totalBytesBilled": "0", "totalSlotMs": "1", "statementType": "SELECT"}
        return _response(
            {
                "jobReference": {
                    "projectId": get_settings().project,
                    "jobId": job_id,
                    "location": get_settings().location,
                },
                "status": {"state": "DONE"},
                "configuration": self._configurations[job_id],
                "statistics": {"query": statistics, "totalSlotMs": "1"},
            }
        )

    def _results_of(self, job_id: str) -> requests.Response:
        rows = self._results[job_id]
        columns = list(rows[0]) if rows else []
        schema = [_field(name, next((row[name] for row in rows if row[name] is not None), None)) for name in columns]
        return _response(
            {
                "jobReference": {
                    "projectId": get_settings().project,
                    "jobId": job_id,
                    "location": get_settings().location,
                },
                "jobComplete": True,
                "totalRows": str(len(rows)),
                "numDmlAffectedRows": "1",
                "schema": {"fields": schema},
                "rows": [{"f": [{"v": _cell(row[name])} for name in columns]} for row in rows],
            }
        )


def _key(file: str | None) -> str:
    if file is None:
        return ""
    path = REPOSITORY / file
    root = LOCAL_SQL if path.is_relative_to(LOCAL_SQL) else SQL_ROOT / "bigquery"
    return str(path.relative_to(root).with_suffix(""))


def _without_header(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(dropwhile(lambda line: line.startswith("--") or not line.strip(), lines))


_TYPES = (
    (bool, "BOOLEAN"),
    (int, "INTEGER"),
    (float, "FLOAT"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (str, "STRING"),
)


def _field(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list | tuple):
        return _field(name, value[0]) | {"mode": "REPEATED"}
    kind = next((name for python, name in _TYPES if isinstance(value, python)), "STRING")
    return {"name": name, "type": kind, "mode": "NULLABLE"}


def _cell(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [{"v": _cell(one)} for one in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return str(round(value.timestamp() * 1_000_000))
    return str(value)


def _response(body: dict[str, Any], status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.request = requests.Request("POST", "https://bigquery.invalid").prepare()
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(body).encode()
    return response
