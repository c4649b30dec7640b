"""Which migrations are applied, in which order, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawsguard.settings import get_settings
from drawsguard.warehouse.migrations import Migration, MigrationError, load, pending


def write(folder: Path, *names: str, text: str = "SELECT 1") -> None:
    for name in names:
        (folder / name).write_text(text)


def test_versions_come_first_then_views_by_name(tmp_path: Path) -> None:
    write(tmp_path, "R__200_b.sql", "V020__x.sql", "R__100_c.sql", "V003__y.sql", "bootstrap.sql")
    assert [migration.version for migration in load(tmp_path)] == ["V003", "V020", "R__100_c", "R__200_b"]


@pytest.mark.parametrize("name", ["V1__a.sql", "V001_a.sql", "view.sql", "R__a.sql", "V001__A.sql"])
def test_a_misnamed_file_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    with pytest.raises(MigrationError, match="not named like a migration"):
        load(tmp_path)


def test_two_files_with_one_version_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "V001__a.sql", "V001__b.sql")
    with pytest.raises(MigrationError, match=r"V001__b.sql and V001__a.sql both carry version V001"):
        load(tmp_path)


def test_line_ends_are_no_edit(tmp_path: Path) -> None:
    (tmp_path / "V001__a.sql").write_bytes(b"SELECT 1\nFROM a\n")
    (tmp_path / "V002__b.sql").write_bytes(b"SELECT 1\r\nFROM a\r\n")
    first, second = load(tmp_path)
    assert first.checksum == second.checksum


def test_an_edited_header_is_no_edit_and_the_file_of_an_older_release_is_known(tmp_path: Path) -> None:
    write(tmp_path, "V001__a.sql", text="-- Purpose: one\n\nSELECT 1\n")
    (before,) = load(tmp_path)
    assert pending([before], {"V001": before.file_checksum}) == []
    write(tmp_path, "V001__a.sql", text="-- Purpose: the first\n-- Grain: none\nSELECT 1\n")
    (after,) = load(tmp_path)
    assert pending([after], {"V001": before.checksum}) == []
    write(tmp_path, "V001__a.sql", text="-- Purpose: the first\nSELECT 2\n")
    with pytest.raises(MigrationError, match="must not change"):
        pending(load(tmp_path), {"V001": before.checksum})


V001, V002 = Migration(False, "V001", "V001__a.sql", "1a"), Migration(False, "V002", "V002__b.sql", "2b")
VIEW = Migration(True, "R__100_v", "R__100_v.sql", "3c")


def test_what_is_applied_is_left_alone() -> None:
    assert pending([V001, V002, VIEW], {"V001": "1a", "V002": "2b", "R__100_v": "3c"}) == []


def test_a_lower_version_that_arrives_later_is_applied() -> None:
    assert pending([V001, V002], {"V002": "2b"}) == [V001]


def test_a_changed_view_is_applied_again() -> None:
    assert pending([V001, VIEW], {"V001": "1a", "R__100_v": "old"}) == [VIEW]


def test_an_edited_migration_is_refused_by_name() -> None:
    with pytest.raises(MigrationError, match=r"V001__a.sql .* must not change.*new V file"):
        pending([V001, V002], {"V001": "old"})


def test_the_migrations_of_the_repository_fit_together() -> None:
    assert len(load()) >= 6


def test_a_view_is_applied_again_when_a_setting_in_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "R__300_a.sql").write_text("SELECT {{ draw_interval_seconds }};\n")
    (tmp_path / "R__400_b.sql").write_text("SELECT 1;\n")
    applied = {one.version: one.checksum for one in load(tmp_path)}
    assert pending(load(tmp_path), applied) == []
    monkeypatch.setenv("DRAWSGUARD_DRAW_INTERVAL_SECONDS", "75")
    get_settings.cache_clear()
    assert [one.version for one in pending(load(tmp_path), applied)] == ["R__300_a"]
    monkeypatch.undo()
    get_settings.cache_clear()
