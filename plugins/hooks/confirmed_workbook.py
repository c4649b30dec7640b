"""The confirmed workbook of a run, read from the artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from airflow.sdk.exceptions import AirflowFailException

from drawsguard.artifacts import ArtifactNameError, NoSuchArtifactError
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.points.review.confirmed import Confirmed, WorkbookRefusedError, read_confirmed
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from hooks.artifacts import local_copy


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


@contextmanager
def find_workbook(name: str) -> Iterator[Path]:
    """Give a copy of a workbook, under its own file name.

    :param name: below the root of the artifacts, or its whole address there.
    :raises RefusedError: when there is no such file.
    """
    try:
        with local_copy(name) as path:
            yield path
    except (NoSuchArtifactError, ArtifactNameError) as error:
        raise RefusedError(
            f"There is no workbook {name[:200]!r}: {error} Put the confirmed workbook below "
            f"{get_settings().artifact('')} and trigger a new run with its address, or its path there."
        ) from error
