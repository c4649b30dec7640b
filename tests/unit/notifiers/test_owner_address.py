"""Mail to owners: only to addresses of the configured domain, whatever a definition row says of its people."""

from __future__ import annotations

import pytest

from drawsguard.settings import get_settings
from notifiers.points_mail import owner_address


@pytest.mark.parametrize("owner", ["chenwei", "chen.wei", "chenwei@example.com"])
def test_an_owner_is_reached_at_the_configured_domain(owner: str) -> None:
    assert owner_address(owner) == f"{owner.partition('@')[0]}@example.com"


@pytest.mark.parametrize(
    "owner",
    [
        "",
        "evil@attacker.example,bob",
        "evil@attacker.example",
        "bob@example.com@attacker.example",
        "bob,eve",
        "lin, wu",
        'a"b',
        "a\nBcc: eve",
        "陈伟",
        "a b",
        "{owner}",
        "x" * 65,
        # A relay takes these for lin@attacker.example, or for no address at all.
        "lin%attacker.example",
        "lin%attacker.example@example.com",
        "..",
        "lin.",
        ".lin@example.com",
        "a..b",
    ],
)
def test_any_other_name_is_notified_through_the_team(owner: str) -> None:
    assert owner_address(owner) == get_settings().points_email
