"""Artifacts in a folder: nobody sees half a file, and no link leads out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from drawsguard.artifacts import ArtifactNameError, Listing
from drawsguard.settings import get_settings
from hooks import artifacts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(root))
    get_settings.cache_clear()
    yield root
    get_settings.cache_clear()


def store(text: str) -> None:
    with artifacts.drafts() as folder:
        (folder / "a.md").write_text(text, encoding="utf-8")
        artifacts.store(folder / "a.md", "batch")


def test_a_worker_that_dies_while_writing_leaves_the_former_file_and_no_other(root: Path) -> None:
    store("whole")
    with mock.patch("os.fsync", side_effect=OSError("no space left")), pytest.raises(artifacts.ArtifactStoreError):
        store("half")
    assert [path.name for path in (root / "batch").iterdir()] == ["a.md"]
    assert (root / "batch" / "a.md").read_text() == "whole"


def test_a_link_out_of_the_folder_is_refused_for_reading_and_writing(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.md").write_text("secret")
    (root / "batch").symlink_to(outside)
    (root / "b.md").symlink_to(outside / "a.md")
    for name in ("batch/a.md", "b.md"):
        with pytest.raises(ArtifactNameError, match="is a link out of"), artifacts.local_copy(name):
            pass
    with pytest.raises(ArtifactNameError, match="is a link out of"):
        store("overwritten")
    assert (outside / "a.md").read_text() == "secret"


def test_a_link_inside_the_folder_is_followed(root: Path) -> None:
    store("whole")
    (root / "newest.md").symlink_to(root / "batch" / "a.md")
    with artifacts.local_copy("newest.md") as copy:
        assert (copy.name, copy.read_text()) == ("newest.md", "whole")


def test_a_file_that_no_workbook_can_be_is_not_copied(root: Path) -> None:
    with (root / "large.xlsx").open("wb") as file:
        file.truncate(artifacts.LARGEST + 1)
    with pytest.raises(ArtifactNameError, match="more than"), artifacts.local_copy("large.xlsx"):
        pass


def test_a_listing_has_neither_links_nor_hidden_names_nor_what_lies_deeper(root: Path, tmp_path: Path) -> None:
    for name in ("b1/review.xlsx", "b1/.part", ".hidden/a", "a/b/c/d.txt", "积分.xlsx"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("12345")
    (tmp_path / "secret").write_text("x")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "b1" / "up").symlink_to(tmp_path)
    (root / "b1" / "same").symlink_to("review.xlsx")
    os.mkfifo(root / "pipe")
    found = artifacts.listing(3)
    assert {(one.name, one.size) for one in found.files} == {("b1/review.xlsx", 5), ("积分.xlsx", 5)}
    assert found.unfit == 0
    assert abs((found.files[0].changed_at - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.parametrize(
    "name", [b"<script>alert(1)<", b"a\nb", b"\xe9.xlsx", b"a%2e", b'"', b"C:x", b"x" * 201], ids=repr
)
def test_a_name_that_no_artifact_can_have_is_counted_and_not_listed(root: Path, name: bytes) -> None:
    (root / os.fsdecode(name)).write_text("x")
    assert artifacts.listing(3) == Listing((), 1)


def test_a_folder_that_is_not_mounted_here_is_no_empty_one(root: Path) -> None:
    root.rmdir()
    with pytest.raises(artifacts.ArtifactStoreError, match="cannot be reached: FileNotFoundError"):
        artifacts.listing(3)


def test_what_is_streamed_is_the_file_itself_and_no_link(root: Path) -> None:
    store("whole")
    (root / "batch" / "same.md").symlink_to("a.md")
    (root / "other").symlink_to("batch")
    assert b"".join(artifacts.stream("batch/a.md")) == b"whole"
    for name in ("batch/same.md", "other/a.md", "batch"):
        with pytest.raises(ArtifactNameError, match=r"is a link|is no file"):
            artifacts.stream(name)
    assert not artifacts.exists("batch"), "a folder is no artifact"


def test_drafts_go_away(root: Path) -> None:
    with artifacts.drafts() as folder:
        (folder / "a.md").write_text("x")
    assert not folder.exists()
    assert list(root.iterdir()) == []
