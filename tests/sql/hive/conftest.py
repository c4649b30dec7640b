"""One JVM for all tests here: starting Hive takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sql.hive.genuine_hive import Judge


@pytest.fixture(scope="package")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    running = Judge(tmp_path_factory.mktemp("hive"))
    yield running
    running.close()
