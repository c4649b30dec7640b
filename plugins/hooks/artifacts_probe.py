"""Whether this worker can write where all workers look for artifacts."""

from __future__ import annotations

import re

from drawsguard.artifacts import ArtifactNameError
from hooks import artifacts

#: Below the root of the artifacts.
FOLDER = "preflight"


def probe(host: str) -> dict[str, str]:
    """Store a file of this host in the folder ``preflight``; return host, the file's name as token, and the error.

    The file of a host is written again at the next probe, so they do not add up.
    """
    token = re.sub(r"[^A-Za-z0-9-]", "_", host)
    try:
        with artifacts.drafts() as folder:
            (folder / token).write_text(host, encoding="utf-8")
            artifacts.store(folder / token, FOLDER)
    except (artifacts.ArtifactStoreError, ArtifactNameError) as error:
        return {"host": host, "token": "", "error": str(error)}
    return {"host": host, "token": token, "error": ""}


def is_seen(token: str) -> bool:
    """Return whether a probe's file can be seen from here."""
    return artifacts.exists(f"{FOLDER}/{token}")
