"""Which MySQL server the tests accept, and which they refuse before anything is made or dropped there."""

from __future__ import annotations

import pytest

from tests.given_mysql import Address, GivenMysqlError, require_mysql

GIVEN = {"ENGINE": "mysql", "MYSQL_HOST": "h", "MYSQL_USER": "u", "MYSQL_PASSWORD": "p"}


def test_without_an_engine_the_embedded_server_is_used() -> None:
    assert Address.from_environment({"MYSQL_HOST": "h"}) is None


def test_a_given_server_is_named_by_the_environment() -> None:
    assert Address.from_environment(GIVEN) == Address("h", 3306, "u", "p")
    assert Address.from_environment(GIVEN | {"MYSQL_PORT": "3307"}) == Address("h", 3307, "u", "p")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ENGINE": "postgres"}, "ENGINE is 'postgres'"),
        ({"ENGINE": "mysql"}, "Missing: MYSQL_HOST, MYSQL_USER, MYSQL_PASSWORD"),
        (GIVEN | {"MYSQL_PASSWORD": ""}, "Missing: MYSQL_PASSWORD"),
        (GIVEN | {"MYSQL_PORT": "x"}, "MYSQL_PORT is 'x', not a number"),
    ],
)
def test_an_incomplete_address_says_what_is_missing(environ: dict[str, str], message: str) -> None:
    with pytest.raises(GivenMysqlError, match=message):
        Address.from_environment(environ)


@pytest.mark.parametrize("version", ["10.11.14-MariaDB-0+deb12u2", "5.7.44", "8.0.43", "8.3.0", "none"])
def test_a_server_that_proves_nothing_is_refused(version: str) -> None:
    with pytest.raises(GivenMysqlError, match="or newer"):
        require_mysql(version)


@pytest.mark.parametrize("version", ["8.4.0", "8.4.11-log", "9.7.4-2", "10.0.1"])
def test_a_newer_mysql_is_accepted(version: str) -> None:
    require_mysql(version)
