"""The emulator's launcher, in the emulator's own environment: what it remembers of a text is the text's alone."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from google.cloud.bigquery import LoadJobConfig, SchemaField, SourceFormat

from drawsguard.settings import get_settings
from local.config import REPOSITORY
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

PYTHON = REPOSITORY / ".local" / "venv" / "bigquery" / "bin" / "python"

PARSED = """
import json, sys
sys.path.insert(0, "local/bigquery")
import sqlglot
from sqlglot.errors import ParseError
from sqlglot.parser import Parser

QUERY = "SELECT a, SAFE_CAST(b AS INT64) AS b FROM `p.d.t` WHERE c = @c"
plain = sqlglot.parse_one(QUERY, read="bigquery").sql("bigquery")

import emulator
emulator.parse_each_text_once()
parses = 0
parse = Parser.parse

def counted(self, *arguments):
    global parses
    parses += 1
    return parse(self, *arguments)

Parser.parse = counted

def refused():
    try:
        sqlglot.parse_one("SELECT FROM WHERE", read="bigquery")
    except ParseError:
        return True
    return False

first = sqlglot.parse_one(QUERY, read="bigquery")
first.set("expressions", [])
first.args["where"].this.args["expression"].replace(sqlglot.exp.Literal.number(1))
second = sqlglot.parse_one(QUERY, read="bigquery")
parses_of_the_text = parses

from bqemulator.sql.translator import SQLTranslator
translator = SQLTranslator()
average, columns = "SELECT AVG(a) AS a FROM d.t", {"t": {"a": "DECIMAL(38, 9)"}}
unknown = translator.translate(average).value
emulator.translate_each_text_once()
translated = [translator.translate(average, schema=columns).value]
translated += [translator.translate(average, schema=schema).value for schema in (columns, None)]
again = [translator.translate(average, schema=schema).value for schema in (columns, None)]
parses_of_all = parses
translator.translate(average, schema=columns)
print(json.dumps({
    "plain": plain,
    "second": second.sql("bigquery"),
    "parses": parses_of_the_text,
    "unknown": unknown,
    "translated": translated,
    "again": again,
    "parses_later": parses - parses_of_all,
    "as_duckdb": sqlglot.parse_one("SELECT 1 // 2", read="duckdb").sql("duckdb"),
    "refused": [refused(), refused()],
}))
"""


TRANSLATED = """
import json, sys
sys.path.insert(0, "local/bigquery")
from bqemulator.sql.translator import SQLTranslator

QUERY = "SELECT AVG(x) AS mean FROM t"
DECIMALS, INTEGERS = ({"t": {"x": kind}} for kind in ("DECIMAL(38, 9)", "BIGINT"))
translator = SQLTranslator()

def translated(*schemas):
    return [str(translator.translate(QUERY, schema=schema)) for schema in schemas]

plain = translated(DECIMALS, INTEGERS)

import emulator
translations = 0
translate = SQLTranslator.translate

def counted(self, *arguments, **options):
    global translations
    translations += 1
    return translate(self, *arguments, **options)

SQLTranslator.translate = counted
emulator.translate_each_text_once()
emulator.compute_fingerprints_in_the_engine()
print(json.dumps({
    "plain": plain,
    "remembered": [translated(DECIMALS, INTEGERS), translated(DECIMALS, INTEGERS)],
    "translations": translations,
    "fingerprint": str(translator.translate("SELECT FARM_FINGERPRINT(x) AS f FROM t")),
}))
"""


def _answer(program: str) -> dict[str, Any]:
    answer = subprocess.run(
        [PYTHON, "-P", "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(answer.stdout.splitlines()[-1])  # the emulator has logged before


def test_a_text_is_parsed_and_translated_once_and_what_is_done_to_its_tree_stays_with_the_caller() -> None:
    found = _answer(PARSED)
    assert found["second"] == found["plain"]
    assert found["parses"] == 1
    typed, typed_again, untyped = found["translated"]
    assert typed == typed_again != untyped == found["unknown"]
    assert found["again"] == [typed, untyped]
    assert found["parses_later"] == 0
    assert found["as_duckdb"] == "SELECT 1 // 2"
    assert found["refused"] == [True, True]


def test_a_text_is_translated_once_for_the_types_of_its_columns() -> None:
    found = _answer(TRANSLATED)
    assert found["plain"][0] != found["plain"][1], "the types make no difference: this proves nothing"
    assert found["remembered"] == [found["plain"]] * 2
    assert found["translations"] == 2
    assert "bqemu" not in found["fingerprint"]
    assert "HASH(" in found["fingerprint"].upper()


def test_what_is_listed_beside_queries_is_the_tables_own(stack: Any) -> None:
    """All requests share one connection of the engine: none may get the rows of another."""
    with draws_warehouse(stack) as client:
        table = get_settings().table("monitor", "sync_log")
        names = ("dag_id", "window_start")
        fields = [field for field in client.get_table(table.strip("`")).schema if field.name in names]
        client.query(
            f"INSERT INTO {table} (dag_id, task_id, interval_start, interval_end, run_id, try_number, mode, status, "
            "started_at, finished_at, window_start, window_end, seconds) "
            "SELECT 'draw_sync', 't', slot, slot, 'r', 1, 'interval', 'success', slot, "
            "TIMESTAMP '2026-03-03 10:00:00+00', slot, slot, 1 FROM UNNEST(GENERATE_TIMESTAMP_ARRAY("
            "TIMESTAMP '2026-03-03 00:00:00+00', TIMESTAMP '2026-03-03 08:00:00+00', INTERVAL 1 MINUTE)) AS slot"
        ).result()
        places = (table.strip("`"), f"{table.strip('`')}$20260303")

        def listed(place: str) -> set[tuple[Any, ...]]:
            return {(row["dag_id"],) for row in client.list_rows(place, selected_fields=fields)}

        def asked(number: int) -> int:
            query = f"SELECT ARRAY_AGG(n) AS all_of_them FROM UNNEST(GENERATE_ARRAY(1, {number})) AS n"
            return len(next(iter(client.query(query).result()))["all_of_them"])

        with ThreadPoolExecutor(8) as pool:
            lists = [pool.submit(listed, places[n % 2]) for n in range(60)]
            queries = {number: pool.submit(asked, number) for number in range(100, 160)}
            assert [one.result() for one in lists] == [{("draw_sync",)}] * 60
            assert {number: one.result() for number, one in queries.items()} == {number: number for number in queries}


def test_a_load_in_pieces_keeps_its_job_id_while_others_load(stack: Any) -> None:
    with draws_warehouse(stack) as client:
        table = get_settings().table("monitor", "loaded_in_pieces").strip("`")
        project, dataset, name = table.split(".")
        place = {"projectId": project, "datasetId": dataset, "tableId": name}
        schema = {"fields": [{"name": "period", "type": "INT64"}]}
        load = {"destinationTable": place, "sourceFormat": "NEWLINE_DELIMITED_JSON", "schema": schema}
        job = {"jobReference": {"projectId": project, "jobId": "pieces"}, "configuration": {"load": load}}
        address = f"{client._connection.API_BASE_URL}/upload/bigquery/v2/projects/{project}/jobs"
        begun = requests.post(address, params={"uploadType": "resumable"}, json=job, timeout=30)
        begun.raise_for_status()
        config = LoadJobConfig(
            schema=[SchemaField("period", "INT64")], source_format=SourceFormat.NEWLINE_DELIMITED_JSON
        )
        client.load_table_from_json([{"period": 1}], table, job_id="at_once", job_config=config).result()
        content = b'{"period": 2}\n'
        headers = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}
        ended = requests.put(begun.headers["Location"], data=content, headers=headers, timeout=30)
        assert ended.json()["jobReference"]["jobId"] == "pieces"
        assert sorted(row["period"] for row in client.list_rows(client.get_table(table))) == [1, 2]
