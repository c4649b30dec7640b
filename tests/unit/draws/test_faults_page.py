"""Every fault in docs/faults.md names a test that exists."""

from __future__ import annotations

import re

import pytest

from drawsguard.settings import REPOSITORY

PAGE = (REPOSITORY / "docs" / "faults.md").read_text()
REFERENCE = re.compile(r"`((?:unit|integration)/[\w/]+\.py|…)::(test_\w+)…?`")


def references() -> list[tuple[str, str]]:
    found, file = [], ""
    for named, test in REFERENCE.findall(PAGE):
        file = file if named == "…" else named
        found.append((file, test))
    return found


@pytest.mark.parametrize(("file", "test"), references())
def test_the_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"def {test}", (REPOSITORY / "tests" / file).read_text())


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault")]
    assert rows
    assert [row for row in rows if not REFERENCE.search(row)] == []
