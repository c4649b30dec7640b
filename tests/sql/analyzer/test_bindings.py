"""What preflight knows of the statements is what the code sends: files, identifiers, and types of parameters.

``UPDATE_GOLDEN=1`` writes it.
"""

from __future__ import annotations

import json
import os
from typing import Any

from drawsguard.preflight import bigquery
from drawsguard.settings import get_settings
from drawsguard.sql import SQL_ROOT
from tests.sql.analyzer.drives import DRIVES, SCHEMA
from tests.sql.analyzer.recording import Sent

FOLDER = "include/sql/bigquery/"


def as_setting(name: str, value: Any) -> Any:
    """Return a dataset as the setting that names it: a deployment may call it otherwise."""
    settings = get_settings()
    known = {getattr(settings, one): f"${one}" for one in ("source_dataset", "target_dataset", "monitor_dataset")}
    return known[value] if name == "dataset" else value


def binding(sent: Sent) -> dict[str, Any]:
    identifiers = {name: as_setting(name, value) for name, value in sent.identifiers.items()}
    return {"identifiers": identifiers, "parameters": sent.types}


def recorded() -> dict[str, list[dict[str, Any]]]:
    """Return each file's ways of being called, each once."""
    found: dict[str, list[dict[str, Any]]] = {}
    for drive in [SCHEMA, *DRIVES]:
        for sent in drive.sent:
            if sent.file and sent.file.startswith(FOLDER):
                ways = found.setdefault(sent.file.removeprefix(FOLDER), [])
                if (one := binding(sent)) not in ways:
                    ways.append(one)
    return {file: sorted(ways, key=lambda way: json.dumps(way, sort_keys=True)) for file, ways in sorted(found.items())}


def test_preflight_calls_every_statement_as_the_code_does() -> None:
    found = recorded()
    if os.environ.get("UPDATE_GOLDEN"):
        bigquery.BINDINGS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert json.loads(bigquery.BINDINGS.read_text("utf-8")) == found, (
        "statements are called in another way than preflight knows: UPDATE_GOLDEN=1 writes it"
    )


def test_every_call_can_be_rendered_and_has_a_value_for_each_parameter() -> None:
    files = {path.relative_to(SQL_ROOT / "bigquery").as_posix() for path in (SQL_ROOT / "bigquery").rglob("*.sql")}
    assert {call.file for call in bigquery.calls()} == files
    for call in bigquery.calls():
        assert call.texts(get_settings())
        assert len(call.config().to_api_repr()["query"]["queryParameters"]) == len(call.parameters)
