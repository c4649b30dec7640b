"""Artifacts in object storage, over the stores' own protocols, and in a folder: the same contract holds for all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath

from drawsguard.artifacts import ArtifactNameError, Listing, NoSuchArtifactError
from drawsguard.refusal import RefusedError
from drawsguard.settings import REPOSITORY, get_settings
from hooks import artifacts
from hooks.artifacts_probe import is_seen, probe
from hooks.confirmed_workbook import find_workbook
from tests.object_stores import BUCKET, ObjectStore, object_store

pytestmark = [pytest.mark.integration]


@pytest.fixture(scope="module", params=["gs", "s3", "folder"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield ObjectStore("", 0, str(tmp_path_factory.mktemp("artifacts")), {})
        return
    with object_store(request.param) as store:
        yield store


@pytest.fixture(autouse=True)
def settings(place: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"DRAWSGUARD_ARTIFACTS_ADDRESS": place.address, **place.connection}.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def stored(text: str, folder: str, name: str) -> str:
    with artifacts.drafts() as drafts:
        (drafts / name).write_text(text, encoding="utf-8")
        return artifacts.store(drafts / name, folder)


def read(name: str) -> str:
    with artifacts.local_copy(name) as copy:
        assert copy.name == name.rpartition("/")[2]
        return copy.read_text(encoding="utf-8")


def test_what_is_stored_can_be_read_under_its_name_and_its_address(place: ObjectStore) -> None:
    address = stored("第一份 first", "batch-1/cleanup", "积分清理结果-batch-1.md")
    assert address.endswith("/batch-1/cleanup/积分清理结果-batch-1.md")
    assert "@" not in address, "the connection is nobody's business"
    assert address.startswith(f"{place.scheme}://{BUCKET}/drawsguard/" if place.scheme else place.address)
    assert read("batch-1/cleanup/积分清理结果-batch-1.md") == read(address) == "第一份 first"


def test_the_same_name_is_replaced_also_when_it_was_looked_at_before() -> None:
    stored("one", "batch-2", "report.md")
    assert read("batch-2/report.md") == "one"
    stored("two", "batch-2", "report.md")
    assert read("batch-2/report.md") == "two"


@pytest.mark.parametrize("name", ["a b (1).xlsx", "已确认，第二次.xlsx", "a+b=c&d.xlsx", "$(x)!~@.xlsx"])
def test_names_that_people_give_are_names_and_nothing_else(name: str) -> None:
    stored(name, "odd", name)
    assert read(f"odd/{name}") == name


def test_what_is_not_there_is_not_there(place: ObjectStore) -> None:
    stored("x", "batch-3", "there.xlsx")
    assert artifacts.exists("batch-3/there.xlsx")
    assert not artifacts.exists("batch-3/elsewhere.xlsx")
    with (
        pytest.raises(Exception, match=r"There is no workbook .*: There is no artifact .*batch-3/elsewhere.xlsx\."),
        find_workbook("batch-3/elsewhere.xlsx"),
    ):
        pass
    with pytest.raises(ArtifactNameError, match="is no file"), artifacts.local_copy("batch-3"):
        pass
    with pytest.raises(ArtifactNameError), artifacts.local_copy("../drawsguard/batch-3/there.xlsx"):
        pass


def test_a_listing_has_names_sizes_and_times_and_a_stream_the_content(place: ObjectStore) -> None:
    address = artifacts.keep("listed/kept (1).xlsx", b"x" * 300_000)
    assert address.endswith("/listed/kept (1).xlsx")
    for folder, name in (("listed/cleanup", "t.csv"), ("listed/a/b", "deep.md"), ("listed", ".part"), (".listed", "a")):
        stored("第一份", folder, name)
    found = {one.name: one for one in artifacts.listing(3).files if one.folder in ("listed", ".listed")}
    assert {name: one.size for name, one in found.items()} == {
        "listed/kept (1).xlsx": 300_000,
        "listed/cleanup/t.csv": 9,
    }
    assert all(abs((one.changed_at - datetime.now(UTC)).total_seconds()) < 60 for one in found.values())
    pieces = list(artifacts.stream("listed/kept (1).xlsx"))
    assert (len(pieces) > 1, b"".join(pieces)) == (True, b"x" * 300_000)
    for name in ("listed/none.xlsx", "listed/none/none.xlsx"):
        with pytest.raises(NoSuchArtifactError):
            artifacts.stream(name)
    for name in ("../drawsguard/listed/kept (1).xlsx", "listed/../listed/kept (1).xlsx", "", "/etc/passwd"):
        with pytest.raises(ArtifactNameError):
            artifacts.stream(name)
    assert not artifacts.exists("listed/cleanup"), "a folder is no artifact"


def test_what_others_put_beside_the_root_or_under_a_name_that_tasks_refuse_is_not_listed(
    place: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{place.address}/listed-alone"
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", address)
    get_settings.cache_clear()
    stored("x", "b1", "a.md")
    root = ObjectStoragePath(address if place.scheme else f"file://{address}")
    hostile = "<script>alert(1)<.md"
    for path in (f"{root.path}-2/b1/other.md", f"{root.path}/b1/{hostile}"):
        if not place.scheme:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        root.fs.pipe_file(path, b"x")
    found = artifacts.listing(3)
    assert ([one.name for one in found.files], found.unfit) == (["b1/a.md"], 1)


def test_nothing_was_stored_yet(place: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{place.address}/empty"
    if not place.scheme:
        Path(address).mkdir()
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", address)
    get_settings.cache_clear()
    assert artifacts.listing(3) == Listing((), 0)


def test_another_worker_with_no_disk_in_common_reads_it(tmp_path: Path) -> None:
    stored("from here", "batch-4", "shared.xlsx")
    code = "from hooks import artifacts\nwith artifacts.local_copy('batch-4/shared.xlsx') as f: print(f.read_text())"
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY / "plugins"), "TMPDIR": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db",
    }  # fmt: skip
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert answer.stdout.strip().splitlines()[-1:] == ["from here"], answer.stderr[-2000:]


def test_the_probe_of_preflight_is_seen() -> None:
    assert probe("worker-1.example") == {"host": "worker-1.example", "token": "worker-1_example", "error": ""}
    assert is_seen("worker-1_example")
    assert not is_seen("worker-2_example")


def test_a_bucket_that_is_not_there_is_an_error_with_its_address(
    place: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = place.address.replace(BUCKET, "no-such-bucket") if place.scheme else "/proc/nowhere"
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", address)
    get_settings.cache_clear()
    with pytest.raises(artifacts.ArtifactStoreError, match=r"(no-such-bucket/drawsguard|/proc/nowhere)/x/y.md cannot"):
        stored("x", "x", "y.md")
    if place.scheme:
        with pytest.raises(artifacts.ArtifactStoreError, match=r"no-such-bucket/drawsguard/ cannot"):
            artifacts.listing(3)


def test_a_store_that_does_not_answer_is_no_missing_workbook(
    monkeypatch: pytest.MonkeyPatch, place: ObjectStore
) -> None:
    """A refusal would tell a person that the file is missing, and end the run; nobody knows that."""
    if not place.scheme:
        folder = Path(place.address) / "loop"
        folder.symlink_to(folder)
        expected: type[Exception] = RefusedError
    else:
        dead = {name: value.replace(str(place.port), "9") for name, value in place.connection.items()}
        for name, value in dead.items():
            monkeypatch.setenv(f"{name}_DEAD", value)
        address = place.address.replace("@", "_dead@")
        monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", address)
        monkeypatch.setattr("gcsfs.retry.asyncio.sleep", _no_pause)
        get_settings.cache_clear()
        expected = artifacts.ArtifactStoreError
    with pytest.raises(expected, match="loop"), find_workbook("loop/file.xlsx"):
        pass
    for ask in (artifacts.stream, artifacts.exists):
        with pytest.raises(expected, match="loop"):
            ask("loop/file.xlsx")
    if place.scheme:
        with pytest.raises(expected, match="cannot be reached"):
            artifacts.listing(3)


async def _no_pause(_seconds: float) -> None:
    """Waits between tries are the library's business."""
