"""Addresses of artifacts (workbooks, reports, audit files): one root, a folder or object storage, and names below it.

Nothing here opens anything; hooks/artifacts.py does.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import NamedTuple

from drawsguard.refusal import RefusedError

#: Object storage that Airflow reaches: Google's and Amazon's.
SCHEMES = ("gs", "s3")
_BUCKET_ADDRESS = re.compile(
    rf"(?P<scheme>{'|'.join(SCHEMES)})://(?:(?P<connection>[A-Za-z0-9_-]+)@)?(?P<bucket>[a-z0-9][a-z0-9._-]+)"
    r"(?P<prefix>(?:/[A-Za-z0-9._-]+)*)"
)
#: Bytes of a part of a name: a folder's limit is 255, and a file is written under a longer name first.
_PART_BYTES = 200
_NAME_BYTES = 900
#: What Google's and Amazon's rules for names of objects advise against: it means something to their tools.
#: Half a surrogate is how a folder gives bytes that are no UTF-8.
_FORBIDDEN = re.compile(r"""[\x00-\x1f\x7f\ud800-\udfff\\?#*\[\]{}<>|:;"'`^%]""")


class ArtifactNameError(RefusedError):
    """A name that leaves the root of the artifacts, or that no artifact can have."""


class NoSuchArtifactError(LookupError):
    """There is no artifact of that name."""


class StoredFile(NamedTuple):
    """An artifact as a listing has it: its name below the root, with its size (bytes) and time (aware)."""

    name: str
    size: int
    changed_at: datetime

    @property
    def folder(self) -> str:
        """The first part of its name: mostly a batch; empty for a file that lies in no folder."""
        return self.name.partition("/")[0] if "/" in self.name else ""

    @property
    def base(self) -> str:
        """Its name without folders."""
        return self.name.rpartition("/")[2]


class Listing(NamedTuple):
    """What lies below the root.

    :param files: in no order.
    :param unfit: files that no artifact can be, since tasks would refuse their names.
    """

    files: tuple[StoredFile, ...]
    unfit: int


class Root(NamedTuple):
    """Where all artifacts are.

    :param scheme: ``gs``, ``s3``, or empty for a folder.
    :param connection: Airflow's connection of the object storage; empty for what the machine itself may do.
    :param place: ``bucket/prefix``, or the folder's absolute path.
    """

    scheme: str
    connection: str
    place: str

    def __str__(self) -> str:
        """The address as people read it, without the connection."""
        return f"{self.scheme}://{self.place}" if self.scheme else self.place


def parse_root(address: str) -> Root:
    """Return the root that an address names.

    :param address: an absolute path, ``gs://[connection@]bucket[/prefix]``, or the same with ``s3``.
    :raises ValueError: for any other address.
    """
    text = address.rstrip("/") if "://" in address else address
    parts = PurePosixPath(text.partition("://")[2] or text).parts
    if "." in parts or ".." in parts or _FORBIDDEN.search("".join(parts)):
        raise ValueError("has parts that lead elsewhere (., ..), or a character that object storage advises against")
    if matched := _BUCKET_ADDRESS.fullmatch(text):
        return Root(matched["scheme"], matched["connection"] or "", f"{matched['bucket']}{matched['prefix']}")
    if "://" in text or not PurePosixPath(text).is_absolute() or text.strip("/") == "":
        raise ValueError(
            "is neither the absolute path of a folder nor gs://[connection@]bucket[/prefix] or "
            "s3://[connection@]bucket[/prefix]; the prefix takes letters, digits, '.', '_' and '-'"
        )
    return Root("", "", str(PurePosixPath(text)))


def checked_name(name: str, root: Root) -> str:
    """Return the name of an artifact below the root, for a name or a whole address that a person gave.

    :raises ArtifactNameError: when it leads anywhere else.
    """
    below = name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else name
    parts = below.split("/")
    if not below or _FORBIDDEN.search(below) or any(part in ("", ".", "..") for part in parts):
        reason = "it has an empty part, . or .., or a character such as : \\ ? # * [ ] ' \""
    elif any(len(part.encode(errors="replace")) > _PART_BYTES for part in parts):
        reason = f"a part is longer than {_PART_BYTES} bytes"
    elif len(below.encode(errors="replace")) > _NAME_BYTES:
        reason = f"it is longer than {_NAME_BYTES} bytes"
    else:
        return below
    raise ArtifactNameError(
        f"{name[:200]!r} is no artifact below {root}: {reason}. Give the file's address there, or its path below it, "
        "e.g. 'confirmed/batch-1.xlsx'."
    )
