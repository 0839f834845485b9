"""URLs and paths name file systems and datasets as in Petastorm, and what is wrong with them is said as there."""

from __future__ import annotations

import pickle

import fsspec
import fsspec.implementations.local
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, S3FileSystem

from loaders.petastorm.fs_utils import (
    FilesystemResolver,
    get_dataset_path,
    get_filesystem_and_path_or_paths,
    normalize_dataset_url_or_urls,
    normalize_dir_url,
    open_dataset,
)


@pytest.fixture
def dataset(tmp_path):
    """A folder with one file."""
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    return tmp_path


def test_paths_and_urls_open_the_same(dataset, monkeypatch):
    monkeypatch.chdir(dataset.parent)
    urls = [dataset, str(dataset), f"{dataset}/", f"file://{dataset}", f"file://{dataset}/", dataset.name]
    for url in [*urls, [dataset / "a.parquet"], [f"file://{dataset}/a.parquet"], f"{dataset}/a.parquet"]:
        with open_dataset(url) as folder:
            assert (folder.root, folder.names) == (str(dataset), ("a.parquet",)), url


def test_file_systems_and_their_options_are_used(dataset):
    memory = fsspec.filesystem("memory")
    memory.put(str(dataset / "a.parquet"), "/bucket/set/a.parquet")
    for url, settings in [
        ("memory://bucket/set", {}),
        ("memory://bucket/set", {"storage_options": {"skip_instance_cache": False}}),
        ("memory://bucket/set", {"filesystem": memory}),
        ("/bucket/set", {"filesystem": memory}),
        (f"file://{dataset}", {"filesystem": LocalFileSystem(), "storage_options": {"a": 1}}),
    ]:
        with open_dataset(url, **settings) as folder:
            assert folder.read(folder.pieces[0], ["id"])["id"].to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "directory url must be a string"),
        (12, "directory url must be a string"),
        ("", "directory url must be a string"),
        ([None], "directory url must be a string"),
        ([], "dataset url list must be non-empty."),
        ("some/where", "ERROR! A scheme-less dataset url (some/where)"),
        (["s3://a/x", "s3://b/x"], "The dataset url list must contain url with the same scheme and netloc."),
        (["s3://a/x", "/tmp/x"], "The dataset url list must contain url with the same scheme and netloc."),
        ("/not/here", "Passed non-file path: /not/here"),
        ("file:///not/here", "Passed non-file path: /not/here"),
        ("memory://not/here", "Passed non-file path: memory://not/here"),
    ],
)
def test_what_is_wrong_is_said_as_petastorm_says_it(url, message):
    with pytest.raises(OSError if message.startswith("Passed") else ValueError) as caught:
        open_dataset(url)
    assert str(caught.value).startswith(message)


def test_urls_are_taken_apart(dataset):
    assert normalize_dir_url("file:///a/b/") == "file:///a/b"
    assert normalize_dataset_url_or_urls(["file:///a/", dataset]) == ["file:///a", str(dataset)]
    filesystem, path = get_filesystem_and_path_or_paths(f"file://{dataset}")
    assert filesystem.isdir(path)
    _, paths = get_filesystem_and_path_or_paths(["memory://b/x", "memory://b/y"])
    assert paths == ["/b/x", "/b/y"]
    with pytest.raises(ValueError, match="^The dataset url list must contain url with the same scheme and netloc."):
        get_filesystem_and_path_or_paths(["file:///a", "memory://b/y"])
    given = object()
    assert get_filesystem_and_path_or_paths("hdfs://nn:8020/a/b", filesystem=given) == (given, "/a/b")


def test_the_resolver_names_file_system_path_and_url():
    resolver = FilesystemResolver("file:///a/b")
    made = pickle.loads(pickle.dumps(resolver.filesystem_factory()))()
    assert type(made) is type(resolver.filesystem()) is fsspec.implementations.local.LocalFileSystem
    assert (resolver.get_dataset_path(), resolver.parsed_dataset_url().scheme) == ("/a/b", "file")
    assert get_dataset_path(FilesystemResolver("memory://b/c").parsed_dataset_url()) == "/b/c"
    with pytest.raises(ValueError, match="^ERROR! A scheme-less dataset url"):
        FilesystemResolver("/a/b")
    with pytest.raises(ValueError, match="^URLs must be of the form memory://bucket/path"):
        FilesystemResolver("memory:///a")
    with pytest.raises(RuntimeError, match="^Pickling FilesystemResolver is not supported"):
        pickle.dumps(resolver)


def test_hdfs_goes_through_a_connector_if_there_is_one():
    class Connector:
        @staticmethod
        def hdfs_connect_namenode(url, driver, user):
            return url.hostname, url.port, driver, user

    resolver = FilesystemResolver("hdfs://nn:8020/a", connector=Connector, hdfs_driver="libhdfs", user="me")
    assert resolver.filesystem() == ("nn", 8020, "libhdfs", "me")
    assert resolver.get_dataset_path() == "/a"


def test_options_of_s3fs_are_understood_without_it(monkeypatch):
    def missing(protocol):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "http://127.0.0.1:9", "region_name": "x"}}
    filesystem = FilesystemResolver("s3://bucket/a", storage_options=options).filesystem()
    assert isinstance(filesystem, S3FileSystem)
    assert filesystem.region == "x"
    with pytest.raises(ValueError, match="requester_pays.*pip install s3fs"):
        FilesystemResolver("s3://bucket/a", storage_options={"requester_pays": True})
