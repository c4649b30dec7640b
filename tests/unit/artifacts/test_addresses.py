"""Addresses of artifacts: what a root may be, and that no name leads out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.artifacts import ArtifactNameError, Root, checked_name, parse_root
from drawsguard.settings import Settings, SettingsError, get_settings

BUCKET = parse_root("gs://google_cloud_default@bucket-1/drawsguard")


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("/data/artifacts", Root("", "", "/data/artifacts")),
        ("/data/artifacts/", Root("", "", "/data/artifacts")),
        ("gs://bucket-1", Root("gs", "", "bucket-1")),
        ("gs://google_cloud_default@bucket-1/a/b/", Root("gs", "google_cloud_default", "bucket-1/a/b")),
        ("s3://aws_default@bucket.1", Root("s3", "aws_default", "bucket.1")),
    ],
)
def test_a_root_is_a_folder_or_a_bucket(address: str, root: Root) -> None:
    assert parse_root(address) == root


@pytest.mark.parametrize(
    "address",
    [
        "", "/", "data", "./data", "/data/../etc", "gs://", "gs://bucket-1/../other", "gs://bucket-1//a", "ftp://host/a",
        "file:///data", "http://bucket-1/a", "gs://user:password@bucket-1", "gs://bucket-1/a?b", "s3://Bucket",
        "gs:/bucket",
    ],
)  # fmt: skip
def test_any_other_root_stops_the_start_with_its_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"has parts that lead elsewhere|is neither"):
        parse_root(address)
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", address)
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="DRAWSGUARD_ARTIFACTS_ADDRESS"):
        get_settings()
    monkeypatch.undo()
    get_settings.cache_clear()


def test_people_read_an_address_without_the_connection() -> None:
    settings = Settings(artifacts_address="gs://google_cloud_default@bucket-1/drawsguard")
    assert settings.artifact("batch-1") == "gs://bucket-1/drawsguard/batch-1"
    assert Settings(artifacts_address="/data").artifact("batch-1") == "/data/batch-1"


@pytest.mark.parametrize("name", ["a.xlsx", "batch-1/已确认 (2).xlsx", "..a/b..xlsx", "a..b"])
def test_a_name_and_its_whole_address_are_one(name: str) -> None:
    assert checked_name(name, BUCKET) == checked_name(f"gs://bucket-1/drawsguard/{name}", BUCKET) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "..", "../a.xlsx", "a/../../b.xlsx", "a/./b.xlsx", "a//b.xlsx", "a/", "/etc/passwd",
        "a\\b.xlsx", "a\0b",
        "a\nb", "gs://other-bucket/drawsguard/a.xlsx", "gs://bucket-1/a.xlsx", "gs://bucket-1/drawsguard/../a.xlsx",
        "gs://bucket-1/drawsguard-2/a.xlsx", "s3://bucket-1/drawsguard/a.xlsx", "file:///etc/passwd", "http://host/a.xlsx",
        "gs://google_cloud_default@bucket-1/drawsguard/a.xlsx", "a?b", "a#b", "a*", "a[b]", "a%2e%2e", "a|b",
        "\udce9.xlsx", "x" * 201, "积" * 67,
        "/".join(["x" * 100] * 10),
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_nowhere_is_refused(name: str) -> None:
    with pytest.raises(ArtifactNameError, match="is no artifact below gs://bucket-1/drawsguard: "):
        checked_name(name, BUCKET)


@given(st.text(max_size=40))
def test_no_name_leads_out_of_the_root(name: str) -> None:
    try:
        checked = checked_name(name, BUCKET)
    except ArtifactNameError:
        return
    assert not {"", ".", ".."} & set(checked.split("/"))
    assert "://" not in checked
