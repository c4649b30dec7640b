"""The emulator's launcher, in the emulator's own environment: what it remembers of a text is the text's alone."""

from __future__ import annotations

import json
import subprocess

import pytest

from local.config import REPOSITORY

pytestmark = pytest.mark.integration

PYTHON = REPOSITORY / ".local" / "venv" / "bigquery" / "bin" / "python"

PROBE = """
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


def test_a_text_is_parsed_and_translated_once_and_what_is_done_to_its_tree_stays_with_the_caller() -> None:
    answer = subprocess.run(
        [PYTHON, "-P", "-c", PROBE], cwd=REPOSITORY, check=True, capture_output=True, text=True, timeout=120
    )
    found = json.loads(answer.stdout.splitlines()[-1])  # the emulator has logged before
    assert found["second"] == found["plain"]
    assert found["parses"] == 1
    typed, typed_again, untyped = found["translated"]
    assert typed == typed_again != untyped == found["unknown"]
    assert found["again"] == [typed, untyped]
    assert found["parses_later"] == 0
    assert found["as_duckdb"] == "SELECT 1 // 2"
    assert found["refused"] == [True, True]
