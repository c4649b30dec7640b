"""Addresses that mails, reports and approval pages link to."""

from __future__ import annotations

from drawsguard.settings import Settings


def runbook_link(page: str, settings: Settings) -> str:
    """Return the address of the Chinese page of a runbook (it links to the English one)."""
    return f"{settings.runbook_base_url}/zh/{page}.md"
