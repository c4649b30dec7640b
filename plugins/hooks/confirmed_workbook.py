"""The confirmed workbook of a run, read from the shared folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.confirmed import Confirmed, WorkbookRefusedError, read_confirmed
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings


class ConfirmedWorkbook(NamedTuple):
    """A workbook that was accepted: its batch, and the decision on each candidate."""

    path: Path
    batch_id: str
    decisions: dict[int, Confirmed]


def read_workbook(repositories: Repositories, path: Path) -> ConfirmedWorkbook:
    """Read a confirmed workbook, and check that its decisions may be kept; nothing is changed.

    :param path: see `find_workbook`.
    :raises AirflowFailException: naming sheet, row and reason of every refusal.
    """
    try:
        batch_id, decisions = read_confirmed(path, repositories.batches.known)
        repositories.batches.require_decidable(batch_id, decisions)
    except (WorkbookRefusedError, BatchStateError) as refusal:
        raise AirflowFailException(str(refusal)) from refusal
    return ConfirmedWorkbook(path, batch_id, decisions)


def find_workbook(name: str) -> Path:
    """Return the path of a workbook.

    :param name: file name below the artifact folder.
    :raises RefusedError: when there is no such file.
    """
    folder = get_settings().points_artifact_dir.resolve()
    try:
        path = (folder / name).resolve()
        found = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
        found = False
    if not found:
        raise RefusedError(
            f"There is no workbook {name[:200]!r} in the artifact folder {folder}. Put the confirmed "
            "workbook there and trigger a new run with its file name."
        )
    return path
