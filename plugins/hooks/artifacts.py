"""Artifacts, in a folder or in object storage: files are made in a folder of the task's own and stored whole."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowException

from drawsguard.artifacts import (
    ArtifactNameError,
    Listing,
    NoSuchArtifactError,
    Root,
    StoredFile,
    checked_name,
    parse_root,
)
from drawsguard.settings import get_settings

# Read when gcsfs is imported. Its way to zonal buckets asks every bucket over gRPC first, which a proxy or a private
# endpoint may not let through, and then waits without an end.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

#: No artifact is larger (bytes); a larger file under a workbook's name is none, and is not copied to the worker.
LARGEST = 64 << 20
_CHUNK = 1 << 18

_T = TypeVar("_T")


class ArtifactStoreError(AirflowException):
    """The store of the artifacts could not be reached, written or read; the message says where and why."""


@contextmanager
def drafts() -> Iterator[Path]:
    """Give a folder of this worker in which files are made before they are stored; it goes away at the end."""
    with TemporaryDirectory(prefix="artifacts-") as folder:
        yield Path(folder)


def store(file: Path, folder: str) -> str:
    """Store a finished file under its own name; one of that name is replaced. Nobody ever sees half a file.

    :param folder: below the root of the artifacts, e.g. a batch id.
    :returns: the artifact's address, for people.
    :raises ArtifactStoreError: when it could not be stored.
    """
    root = _root()
    name = checked_name(f"{folder}/{file.name}", root)
    if root.scheme:
        place = _object(root, name)
        _reached(root, name, lambda: place.fs.put_file(str(file), place.path))
    else:
        target = _below_folder(root, name)
        _reached(root, name, lambda: _replace(file, target))
    return f"{root}/{name}"


def keep(name: str, content: bytes) -> str:
    """Store content that is at hand already, as `store` does.

    :param name: below the root of the artifacts.
    :returns: the artifact's address, for people.
    :raises ArtifactStoreError: when it could not be stored.
    """
    folder, _, base = name.rpartition("/")
    with drafts() as drafted:
        (drafted / base).write_bytes(content)
        return store(drafted / base, folder)


@contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Give a copy of an artifact on this worker, under the artifact's own file name.

    :param name: below the root of the artifacts, or its whole address there.
    :raises NoSuchArtifactError: when there is none.
    :raises drawsguard.artifacts.ArtifactNameError: when the name leads elsewhere, or to no file.
    :raises ArtifactStoreError: when the store does not answer, or refuses.
    """
    root = _root()
    name = checked_name(name, root)
    place = _place(root, name)
    found = _info(root, name, place)
    if found["type"] != "file" or found["size"] > LARGEST:
        raise ArtifactNameError(
            f"{root}/{name} is no file, or has more than {LARGEST} bytes: {found['type']}, {found['size']} bytes."
        )
    with drafts() as folder:
        copy = folder / name.rpartition("/")[2]
        _reached(root, name, lambda: _download(place, copy))
        yield copy


def exists(name: str) -> bool:
    """Return whether there is an artifact of that name.

    :raises ArtifactStoreError: when the store does not answer, or refuses.
    """
    root = _root()
    try:
        return bool(_info(root, name, _place(root, checked_name(name, root)))["type"] == "file")
    except NoSuchArtifactError:
        return False


def listing(depth: int) -> Listing:
    """Return the files below the root; links, hidden names, and what lies below a hidden name, are none.

    Object storage is asked once for all names, so address and prefix are for artifacts alone.

    :param depth: parts that a name may have; what lies deeper is left out.
    :raises ArtifactStoreError: when the store does not answer or refuses, or has no such bucket or folder.
    """
    root = _root()
    found = _reached(root, "", lambda: list(_objects(root) if root.scheme else _files(Path(root.place), "", depth)))
    seen = [one for one in found if one.name.count("/") < depth and not any(map(_is_hidden, one.name.split("/")))]
    fit = tuple(one for one in seen if _is_fit(one.name, root))
    return Listing(fit, len(seen) - len(fit))


def stream(name: str) -> Iterator[bytes]:
    """Return the content of an artifact in pieces; the first was read already, so that a store that refuses is known.

    :param name: below the root of the artifacts, as `listing` has it: no link is followed.
    :raises NoSuchArtifactError: when there is none.
    :raises drawsguard.artifacts.ArtifactNameError: when the name leads elsewhere, or to no file.
    :raises ArtifactStoreError: when the store does not answer, or refuses; also between two pieces.
    """
    root = _root()
    name = checked_name(name, root)
    place = _place(root, name)
    if not root.scheme and _below_folder(root, name) != Path(root.place).resolve() / name:
        raise ArtifactNameError(f"{root}/{name} is a link. Take the file itself.")
    if (found := _info(root, name, place))["type"] != "file":
        raise ArtifactNameError(f"{root}/{name} is no file: {found['type']}.")
    source = _reached(root, name, lambda: place.fs.open(place.path, "rb"))
    first = _reached(root, name, lambda: source.read(_CHUNK))

    def pieces() -> Iterator[bytes]:
        with source:
            piece = first
            while piece:
                yield piece
                piece = _reached(root, name, lambda: source.read(_CHUNK))

    return pieces()


def _is_hidden(part: str) -> bool:
    return part.startswith(".")


def _is_fit(name: str, root: Root) -> bool:
    try:
        return checked_name(name, root) == name
    except ArtifactNameError:
        return False


def _objects(root: Root) -> Iterator[StoredFile]:
    place = ObjectStoragePath(f"{root.scheme}://{root.place}", conn_id=root.connection or None)
    place.fs.invalidate_cache()  # workers have written since
    above = f"{root.place}/"
    for path, facts in place.fs.find(root.place, detail=True).items():
        # A name that ends in a slash is what tools write in place of a folder.
        if facts["type"] == "file" and path.startswith(above) and not path.endswith("/"):
            changed_at = facts["mtime"] if root.scheme == "gs" else facts["LastModified"]
            yield StoredFile(path.removeprefix(above), facts["size"], changed_at)


def _files(folder: Path, above: str, depth: int) -> Iterator[StoredFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if depth > 1 and not _is_hidden(entry.name):
                    yield from _files(folder / entry.name, f"{name}/", depth - 1)
            elif entry.is_file(follow_symlinks=False):
                facts = entry.stat(follow_symlinks=False)
                yield StoredFile(name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _root() -> Root:
    return parse_root(get_settings().artifacts_address)


def _place(root: Root, name: str) -> ObjectStoragePath:
    return _object(root, name) if root.scheme else ObjectStoragePath(f"file://{_below_folder(root, name)}")


def _object(root: Root, name: str) -> ObjectStoragePath:
    # The name is joined, not parsed with the address: a '?' or '#' in it is part of the object's name.
    return _reached(
        root, name, lambda: ObjectStoragePath(f"{root.scheme}://{root.place}", conn_id=root.connection or None) / name
    )


def _below_folder(root: Root, name: str) -> Path:
    """Return the file of a name, its links followed.

    :raises ArtifactNameError: when a link leads out of the folder.
    """
    folder = Path(root.place).resolve()
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise ArtifactNameError(f"{root}/{name} leads nowhere: {error}") from error
    if not path.is_relative_to(folder):
        raise ArtifactNameError(f"{root}/{name} is a link out of {root}. Put the file itself there.")
    return path


def _replace(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex}")
    try:
        with part.open("xb") as written:
            written.write(file.read_bytes())
            written.flush()
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _download(place: ObjectStoragePath, copy: Path) -> None:
    with place.fs.open(place.path, "rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)


def _info(root: Root, name: str, place: ObjectStoragePath) -> dict[str, Any]:
    """Return type and size; asked of the store itself, since ``is_file()`` calls a refusal "no such file"."""

    def ask() -> dict[str, Any]:
        place.fs.invalidate_cache()  # another worker may have written it since
        return dict(place.fs.info(place.path))

    try:
        return _reached(root, name, ask)
    except ArtifactStoreError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            raise NoSuchArtifactError(f"There is no artifact {root}/{name}.") from error
        raise


def _reached(root: Root, name: str, act: Callable[[], _T]) -> _T:
    """Do something with the store; whatever it says otherwise becomes one error that names the address."""
    try:
        return act()
    except ImportError as error:
        why = f"the libraries of {root.scheme}:// are not installed (docs/artifacts.md): {error}"
        raise ArtifactStoreError(f"{root}/{name}: {why}") from error
    except Exception as error:
        raise ArtifactStoreError(
            f"{root}/{name} cannot be reached: {type(error).__name__}: {str(error)[:500]}. Look at the setting "
            f"artifacts_address, the connection {root.connection or '(none: the machine itself)'!r} and its rights on "
            "the bucket or folder, then clear this task."
        ) from error
