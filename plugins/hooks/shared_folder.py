"""The folder of workbooks, reports and audit files, which all workers share."""

from __future__ import annotations

import re

from drawsguard.settings import get_settings


def probe(host: str) -> dict[str, str]:
    """Write a file of this host into the folder ``preflight``; return host, the file's name as token, and the error.

    The file of a host is written again at the next probe, so they do not add up.
    """
    folder = get_settings().points_artifact_dir / "preflight"
    token = re.sub(r"[^A-Za-z0-9.-]", "_", host)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_text(host, encoding="utf-8")
    except OSError as error:
        return {"host": host, "token": "", "error": f"{type(error).__name__}: {error}"}
    return {"host": host, "token": token, "error": ""}
