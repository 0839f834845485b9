"""land from buckets: what is listed, read and linked, and what goes wrong there, told and not mistaken."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from lakehouse.audit.verify import verify
from lakehouse.config import Config, EngineConfig, LakeConfig, LandConfig, StoreConfig
from lakehouse.dimensions.step import dimensions
from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources import prefix
from lakehouse.ingestion.sources.delivery import check_source, list_source
from lakehouse.ingestion.sources.source import Source
from lakehouse.ingestion.storing import held, remote
from lakehouse.objects import read_entity
from lakehouse.opening import open_lake
from lakehouse.query import fetch
from loaders.stores.schemes import open_storage
from tests.buckets.faults import Chance
from tests.buckets.lakes import use
from tests.buckets.signing import ask
from tests.ingestion.files import landed, png
from tests.making import small_lake

HERE = EngineConfig(workers=1)
"""Other processes would keep the environment of the first test that started them."""
ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}
ODD = ("a b.png", "ü.png", "100%.png", "%20.png", "a#b.png", "a?b.png", "x+y&z=.png", "sub/deep/'q\".png")


def opened(root, stores):
    return open_lake(Config(lake=LakeConfig(root=str(root)), engine=HERE, stores=stores), create=True)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill(bucket, objects, folder="drop"):
    store = bucket.store()
    for name, data in objects.items():
        store.put(f"{folder}/{name}", data, use_multipart=False)


def source(bucket, folder="drop", **options):
    return Source(**{"name": "photos", "folder": f"{bucket.url}/{folder}", **options})


@pytest.fixture(params=["folder", "bucket"])
def lake(request, bucket, tmp_path, monkeypatch):
    """A lake in a folder, and one in the bucket that its sources are in."""
    address = use(bucket, tmp_path, monkeypatch)
    root = str(tmp_path / "lake") if request.param == "folder" else address
    with open_lake(Config(lake=LakeConfig(root=root), engine=HERE), create=True) as opened:
        yield opened


@pytest.fixture
def local(bucket, tmp_path, monkeypatch):
    """A lake in a folder."""
    use(bucket, tmp_path, monkeypatch)
    with small_lake(tmp_path / "lake") as opened:
        yield opened


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_objects_are_landed_with_key_size_time_and_etag(lake, bucket, mode):
    fill(bucket, {"a.png": png(1), "sub/b.png": png(2), "sub/again.png": png(1), "empty.png": b""})
    receipt = land(lake, source(bucket, mode=mode))
    assert receipt.counts == ZERO | {"seen": 4, "stored": 3, "duplicate": 1}
    listed = {each["path"].removeprefix("drop/"): each for page in bucket.store().list("drop") for each in page}
    rows = landed(lake, "path, name, uri, status, sha256, size_bytes, etag, mtime_at, object_uri")
    assert [row["path"] for row in rows] == ["a.png", "empty.png", "sub/again.png", "sub/b.png"]
    for row in rows:
        data = {"a.png": png(1), "sub/b.png": png(2), "sub/again.png": png(1), "empty.png": b""}[row["path"]]
        uri = f"{bucket.url}/drop/{row['path']}"
        assert (row["uri"], row["sha256"], row["size_bytes"]) == (uri, sha(data), len(data))
        assert row["etag"] == listed[row["path"]]["e_tag"].strip('"') == hashlib.md5(data).hexdigest()
        assert row["mtime_at"] == listed[row["path"]]["last_modified"]
        if mode == "copy":
            assert (row["status"], row["object_uri"]) == ("stored", f"objects/{sha(data)[:2]}/{sha(data)}")
        else:
            assert (row["status"], row["object_uri"]) == ("linked", uri)
        assert read_entity(lake.home, f"{row['object_uri']}#{row['sha256']}") == data
    assert entities(lake).counts["stored"] == 2  # the empty one is rejected
    again = land(lake, source(bucket, mode=mode))
    assert again.counts == ZERO | {"seen": 4, "unchanged": 4}
    assert not again.changed


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_odd_names_are_landed_and_read(lake, bucket, mode):
    data = {name: png(number) for number, name in enumerate(ODD)}
    fill(bucket, data, "dröp #1?")
    assert land(lake, source(bucket, "dröp #1?", mode=mode)).counts == ZERO | {"seen": len(ODD), "stored": len(ODD)}
    rows = landed(lake, "name, uri, object_uri, sha256")
    assert {row["uri"] for row in rows} == {f"{bucket.url}/dröp #1?/{name}" for name in ODD}
    assert {row["name"] for row in rows} == {name.rpartition("/")[2] for name in ODD}
    assert {read_entity(lake.home, f"{row['object_uri']}#{row['sha256']}") for row in rows} == set(data.values())
    assert entities(lake).counts["stored"] == len(ODD)


def test_hidden_names_folders_and_what_patterns_leave_out_are_not_landed(local, bucket):
    names = ("a.png", ".hidden.png", ".git/x.png", "sub/.y/z.png", "notes.txt", "sub/b.png")
    fill(bucket, {name: png(number) for number, name in enumerate(names)})
    fill(bucket, {"c.png": png(9)}, "drop2")  # no folder of its own, only the same beginning
    for key in ("drop/", "drop/sub/", "drop/nothing/"):
        assert ask(bucket.endpoint, bucket.keys, "PUT", f"/{bucket.name}/{key}").status == 200
    assert [each.path for each in list_source(source(bucket), local.home)] == ["a.png", "sub/b.png"]
    only = source(bucket, include=("sub/*",))
    assert [each.path for each in list_source(only, local.home)] == ["sub/b.png"]


def test_what_a_bucket_says_of_files_comes_with_them(local, bucket):
    fill(bucket, {"a.png": png(1), "b.png": png(2), "meta.csv": b"path,site\na.png,north\nb.png,south\n"})
    stated = source(bucket, sidecar="meta.csv", group_keys={"place": "site"})
    assert land(local, stated).counts["stored"] == 2
    assert [dict(row["group_keys"]) for row in landed(local, "path, group_keys")] == [
        {"place": "north"}, {"place": "south"}
    ]
    fill(bucket, {"a.png.json": b'{"site": "east"}', "b.json": b'{"site": "west"}'})
    land(local, replace(stated, sidecar="per_file", drop="second"))
    rows = landed(local, "drop_name, path, group_keys")
    assert sorted(dict(row["group_keys"])["place"] for row in rows if row["drop_name"] == "second") == ["east", "west"]
    with pytest.raises(IngestError, match=f"sidecar {bucket.url}/drop/none.csv cannot be read"):
        land(local, replace(stated, sidecar="none.csv"))


def test_other_bytes_of_the_same_size_are_told_by_the_etag(local, bucket, monkeypatch):
    fill(bucket, {"a.png": png(1), "b.png": png(2)})
    land(local, source(bucket))
    moment = landed(local, "mtime_at")[0]["mtime_at"]
    fill(bucket, {"a.png": png(3)})
    assert len(png(1)) == len(png(3))
    listing = prefix._below
    monkeypatch.setattr(prefix, "_below", lambda *a: (replace(each, modified=moment) for each in listing(*a)))
    assert land(local, source(bucket)).counts == ZERO | {"seen": 2, "stored": 1, "unchanged": 1}
    assert {row["sha256"] for row in landed(local, "sha256")} == {sha(png(number)) for number in (1, 2, 3)}


def test_objects_that_are_gone_are_counted_and_stay_in_the_lake(local, bucket):
    fill(bucket, {"a.png": png(1), "b.png": png(2)})
    land(local, source(bucket))
    bucket.store().delete("drop/a.png")
    receipt = land(local, source(bucket))
    assert receipt.counts == ZERO | {"seen": 1, "unchanged": 1, "gone": 1}
    assert [(note.rule, note.count) for note in receipt.notes] == [("gone", 1)]
    assert "gone" not in land(local, source(bucket, exclude=("b.png",), name="others")).counts


def test_a_prefix_with_nothing_is_an_error_and_not_files_that_are_gone(local, bucket):
    fill(bucket, {"a.png": png(1)})
    land(local, source(bucket))
    bucket.store().delete("drop/a.png")
    with pytest.raises(IngestError, match=rf"source photos: there is nothing below {bucket.url}/drop/"):
        land(local, source(bucket))
    with pytest.raises(IngestError, match="there is nothing below"):
        check_source(source(bucket, "dro"), ())


def test_a_bucket_that_is_missing_and_keys_that_are_wrong_are_named(local, bucket, monkeypatch):
    with pytest.raises(IngestError, match="source photos: cannot list s3://no-such/x: .*there is no such bucket"):
        land(local, Source(name="photos", folder="s3://no-such/x"))
    fill(bucket, {"a.png": png(1)})
    monkeypatch.setenv("OTHER_ACCESS_KEY_ID", bucket.keys.access)
    monkeypatch.setenv("OTHER_SECRET_ACCESS_KEY", "wrong-canary")
    stores = (StoreConfig(url=bucket.url, keys_from="OTHER"),)
    with pytest.raises(IngestError, match="403 SignatureDoesNotMatch; are the keys") as caught:
        check_source(source(bucket), stores)
    assert "canary" not in str(caught.value)
    assert landed(local) == []


def test_a_key_that_no_client_of_ours_can_name_is_an_error_that_shows_it(local, bucket):
    fill(bucket, {"a.png": png(1)})
    assert ask(bucket.endpoint, bucket.keys, "PUT", f"/{bucket.name}/drop/b\tc.png", body=b"x").status == 200
    try:
        with pytest.raises(IngestError, match=r"source photos: cannot list s3://.*drop/b\tc.png"):
            land(local, source(bucket))
    finally:  # whoever clears the bucket cannot name it either
        ask(bucket.endpoint, bucket.keys, "DELETE", f"/{bucket.name}/drop/b\tc.png")
    assert landed(local) == []


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("https://example.org/data", "https://example.org: a web server does not list what it has"),
        ("s3://key:canary@bucket/x", "holds no user and no key"),
        ("s3://bucket//x", "without empty steps"),
        ("s3://bucket/a/../x", "without empty steps"),
        ("s3:///x", "expected scheme://bucket/prefix"),
    ],
)
def test_addresses_that_cannot_be_listed_are_refused_by_name(folder, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Source(name="photos", folder=folder)
    assert "canary" not in str(caught.value)


def test_links_are_not_followed_in_a_bucket():
    with pytest.raises(ConfigError, match="no links to follow"):
        Source(name="photos", folder="s3://bucket/x", follow_links=True)


def test_the_url_of_a_folder_is_that_folder(tmp_path):
    assert Source(name="photos", folder=f"file://{tmp_path}/a%20b").folder == f"{tmp_path}/a b"


def test_a_lake_is_no_source_and_the_lake_below_a_prefix_is_left_out(bucket, tmp_path, monkeypatch):
    use(bucket, tmp_path, monkeypatch)
    with open_lake(Config(lake=LakeConfig(root=f"{bucket.url}/drop/my lake"), engine=HERE), create=True) as lake:
        fill(bucket, {"a.png": png(1), "my lake-2/b.png": png(2), "z.png": png(3)})
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 3, "stored": 3}
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 3, "unchanged": 3}
        for part in ("drop/my lake", "drop/my lake/objects"):
            with pytest.raises(ConfigError, match=f"is part of the lake {bucket.url}/drop/my lake"):
                land(lake, source(bucket, part))


@pytest.mark.parametrize("mode", ["copy", "link"])
@pytest.mark.parametrize("size", [1_000, (1 << 20) + 7])
def test_an_object_that_changes_after_the_listing_is_read_as_it_is_now(lake, bucket, monkeypatch, mode, size):
    fill(bucket, {"a.bin": bytes(size)})
    new = b"\1" * (size + 1)
    listed = remote.store_object

    def changing(*args, **options):
        fill(bucket, {"a.bin": new})
        return listed(*args, **options)

    monkeypatch.setattr("lakehouse.ingestion.storing.store.store_object", changing)
    with open_lake(lake.config) as lake:
        assert land(lake, source(bucket, mode=mode)).counts == ZERO | {"seen": 1, "stored": 1}
        (row,) = landed(lake, "size_bytes, sha256, etag, object_uri")
        assert (row["size_bytes"], row["sha256"], row["etag"]) == (size + 1, sha(new), hashlib.md5(new).hexdigest())
        assert read_entity(lake.home, f"{row['object_uri']}#{row['sha256']}") == new
        assert land(lake, source(bucket, mode=mode)).counts == ZERO | {"seen": 1, "unchanged": 1}


def test_what_vanishes_is_denied_or_too_large_is_refused_by_rule(tmp_path, bucket, monkeypatch):
    use(bucket, tmp_path, monkeypatch)
    fill(bucket, {"a.png": png(1), "large.bin": bytes(2_000), "gone.png": png(2)})
    listing = prefix._below

    def listed(storage, folder, lake):
        yield from listing(storage, folder, lake)
        bucket.store().delete("drop/gone.png")

    monkeypatch.setattr(prefix, "_below", listed)
    config = Config(lake=LakeConfig(root=str(tmp_path / "lake")), engine=HERE, land=LandConfig(max_file_bytes=1_000))
    with open_lake(config, create=True) as lake:
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 3, "stored": 1, "refused": 2}
        assert landed(lake) == [
            {"path": "a.png", "status": "stored", "rule": None},
            {"path": "gone.png", "status": "refused", "rule": "vanished"},
            {"path": "large.bin", "status": "refused", "rule": "too_large"},
        ]


def test_an_object_of_the_lakes_bucket_is_copied_there_and_travels_once(bucket, proxy, tmp_path, monkeypatch):
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    large = bytes(range(256)) * (1 << 13)
    fill(bucket, {"large.bin": large, "small.png": png(1)})
    with open_lake(Config(lake=LakeConfig(root=f"{bucket.url}/lake"), engine=HERE), create=True) as lake:
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 2, "stored": 2}
        assert lake.files.read_whole(f"objects/{sha(large)[:2]}/{sha(large)}") == large
    (put,) = proxy.asked("PUT", sha(large))
    assert put.copied == f"{bucket.name}/drop/large.bin"
    assert [each.copied for each in proxy.asked("PUT", sha(png(1)))] == [""]


def test_shaky_networks_land_the_same_rows(bucket, proxy, tmp_path, monkeypatch):
    fill(bucket, {f"{number:03}.png": png(number % 40) for number in range(60)} | {"large.bin": bytes(3 << 20)})
    columns = "path, uri, size_bytes, etag, sha256, status, object_uri, row_hash"
    use(bucket, tmp_path, monkeypatch)
    with small_lake(tmp_path / "calm") as lake:
        land(lake, source(bucket))
        calm = landed(lake, columns)
    stores = {"shaky": StoreConfig(url=bucket.url, endpoint=proxy.endpoint)}
    with proxy.injecting(Chance(("500", "503", "429", "cut", "short", "reset"), rate=0.2, seed=13)):
        with opened(tmp_path / "lake", stores) as lake:
            assert land(lake, source(bucket)).counts["refused"] == 0
            assert landed(lake, columns) == calm
    assert sum(proxy.struck().values()) > 10


def test_a_network_that_is_gone_is_an_error_and_refuses_no_file(bucket, proxy, tmp_path, monkeypatch):
    fill(bucket, {f"{number}.png": png(number) for number in range(3)})
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    stores = {"shaky": StoreConfig(url=bucket.url, tries=2)}
    with opened(tmp_path / "lake", stores) as lake:
        with proxy.injecting(Chance(("503",), rate=1, seed=1, method="GET", key=r"\.png")):
            with pytest.raises(IngestError, match=r"cannot read s3://.*png: .*in 2 tries.*503.*run again"):
                land(lake, source(bucket))
        assert landed(lake) == []
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 3, "stored": 3}


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_second_run_over_pages_of_objects_only_lists(bucket, proxy, tmp_path, monkeypatch, place):
    fill(bucket, {f"{number:05}.bin": b"%d" % number for number in range(2_500)})
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    root = str(tmp_path / "lake") if place == "folder" else f"{bucket.url}/lake"
    with open_lake(Config(lake=LakeConfig(root=root), engine=HERE), create=True) as lake:
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 2_500, "stored": 2_500}
        proxy.forget()
        again = land(lake, source(bucket))
        assert again.counts == ZERO | {"seen": 2_500, "unchanged": 2_500}
    keys = {seen.key for seen in proxy.asked() if not seen.request.is_listing}
    assert not [key for key in keys if "objects/" in key or key.endswith(".bin")]
    assert {key for key in keys if key.startswith("drop")} == {"drop/_lake.json"}  # looked for: is it a lake?
    lists = [seen.request.asked for seen in proxy.asked("GET") if seen.request.is_listing]
    assert len([each for each in lists if "prefix=drop" in each]) == 1 + 3  # one to see that there is something
    assert len([each for each in lists if "objects" in each]) == (3 if place == "bucket" else 0)


@pytest.mark.parametrize(("listed_from", "page"), [(1_000, 1_000), (1, 1_000), (1, 3)])
def test_lost_objects_of_a_lake_in_a_bucket_are_found_by_looking_and_by_listing(monkeypatch, listed_from, page):
    monkeypatch.setattr(held, "LISTED_FROM", listed_from)
    monkeypatch.setattr(held, "PAGE", page)
    lake = f"memory://held-{listed_from}-{page}/lake"
    known = [sha(b"%d" % number) for number in range(40)]
    for sha256 in known[3:]:
        open_storage(lake).put(f"objects/{sha256[:2]}/{sha256}", b"as it was")
    open_storage(lake).put(f"objects/{known[9][:2]}/{known[9]}", b"cut")
    open_storage(lake).put("objects/00/~not one", b"")
    found = held.not_whole(lake, [(sha256, 9) for sha256 in known], {known[20]})
    assert found == {*known[:3], known[9], known[20]}
    with_one_more = held.not_whole(lake, [(sha256, 9) for sha256 in known], {known[20], sha(b"of another source")})
    assert with_one_more == found


def test_a_lake_lands_from_memory_too(tmp_path):
    store = open_storage("memory://of-a-test/drop")
    store.put("a.png", png(1))
    store.put("sub/b.png", png(2))
    with small_lake(tmp_path / "lake") as lake:
        of = Source(name="photos", folder="memory://of-a-test/drop")
        assert land(lake, of).counts == ZERO | {"seen": 2, "stored": 2}
        store.put("sub/b.png", png(3))
        assert land(lake, of).counts == ZERO | {"seen": 2, "stored": 1, "unchanged": 1}


def test_an_object_that_the_bucket_denies_is_refused_and_tried_again(bucket, proxy, tmp_path, monkeypatch):
    fill(bucket, {"a.png": png(1), "b.png": png(2)})
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    with small_lake(tmp_path / "lake") as lake:
        with proxy.injecting(Chance(("403",), rate=1, seed=1, method="GET", key=r"drop/a\.png")):
            assert land(lake, source(bucket)).counts == ZERO | {"seen": 2, "stored": 1, "refused": 1}
        assert landed(lake)[0] == {"path": "a.png", "status": "refused", "rule": "unreadable"}
        assert land(lake, source(bucket)).counts == ZERO | {"seen": 2, "stored": 1, "unchanged": 1}


def test_a_link_that_leads_nowhere_is_reported_and_one_that_changed_names_both_hashes(local, bucket):
    fill(bucket, {f"{number}.png": png(number) for number in range(3)})
    land(local, source(bucket, mode="link"))
    assert entities(local).counts["stored"] == 3
    bucket.store().delete("drop/0.png")
    fill(bucket, {"1.png": png(9)})
    rows = {row["path"]: row for row in landed(local, "path, object_uri, sha256")}
    with pytest.raises(IngestError, match=f"cannot read {bucket.url}/drop/0.png"):
        read_entity(local.home, f"{rows['0.png']['object_uri']}#{rows['0.png']['sha256']}")
    with pytest.raises(IngestError, match=f"SHA-256 is {sha(png(9))}, expected {sha(png(1))}; a linked"):
        read_entity(local.home, f"{rows['1.png']['object_uri']}#{rows['1.png']['sha256']}")
    assert dimensions(local).counts == {"entities": 3, "seen": 12, "measured": 4, "rejected": 8}
    reasons = " ".join(row["reason"] for row in fetch(local, "select reason from silver.rejected"))
    assert sha(png(9)) in reasons
    found = {damage.what: damage.message for damage in verify(local, deep=True) if damage.kind == "linked"}
    assert set(found) == {sha(png(0)), sha(png(1))}
    assert "found no file" in found[sha(png(0))]
    assert f"found SHA-256 {sha(png(9))}" in found[sha(png(1))]


def test_links_that_are_gone_before_they_became_entities_are_rejected_and_a_bucket_that_is_away_stops(
    bucket, proxy, tmp_path, monkeypatch
):
    fill(bucket, {f"{number}.png": png(number) for number in range(3)})
    use(bucket.through(proxy.endpoint), tmp_path, monkeypatch)
    stores = {"shaky": StoreConfig(url=bucket.url, tries=2)}
    with opened(tmp_path / "lake", stores) as lake:
        land(lake, source(bucket, mode="link"))
        bucket.store().delete("drop/0.png")
        fill(bucket, {"1.png": png(9)})
        with proxy.injecting(Chance(("503",), rate=1, seed=1)), pytest.raises(IngestError, match="cannot read s3://"):
            entities(lake)
        assert entities(lake).counts == {"seen": 3, "stored": 1, "duplicate": 0, "rejected": 2}
        rules = {row["rule"]: row["reason"] for row in fetch(lake, "select rule, reason from silver.rejected")}
        assert set(rules) == {"unreadable_now", "changed_after_landing"}
        assert sha(png(9)) in rules["changed_after_landing"]
        assert sha(png(1)) in rules["changed_after_landing"]
        with proxy.injecting(Chance(("503",), rate=1, seed=1)), pytest.raises(IngestError, match="1 of 1 folders"):
            dimensions(lake)


def test_links_lead_to_several_buckets_each_with_its_own_keys(s3_server, bucket, tmp_path, monkeypatch):
    use(bucket, tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv("FIRST_ACCESS_KEY_ID", bucket.keys.access)
    monkeypatch.setenv("FIRST_SECRET_ACCESS_KEY", bucket.keys.secret)
    other = s3_server.make_bucket(f"{bucket.name}-other")
    try:
        fill(bucket, {"a.png": png(1)})
        fill(other, {"a.png": png(2)}, "archive/2024")
        stores = {
            "first": StoreConfig(url=bucket.url, keys_from="FIRST"),
            "archive": StoreConfig(url=f"{other.url}/archive", keys_from="FIRST"),
            "rest": StoreConfig(url=other.url, keys_from="NOWHERE"),
        }
        with opened(tmp_path / "lake", stores) as lake:
            land(lake, source(bucket, mode="link"))
            land(lake, source(other, "archive/2024", name="old", mode="link"))
            assert entities(lake).counts["stored"] == 2
            rows = landed(lake, "path, object_uri, sha256")
            assert {read_entity(lake.home, f"{row['object_uri']}#{row['sha256']}") for row in rows} == {png(1), png(2)}
    finally:
        s3_server.remove_bucket(other)
