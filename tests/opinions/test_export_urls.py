"""Annotations go to URLs as they go to folders: whole or not at all, and the same again writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError
from lakehouse.opinions.exporting.step import export_opinions
from lakehouse.opinions.formats.common import SIDECARS
from lakehouse.target import CLAIM, RECORD
from loaders.errors import AlreadyPublishedError, FormatError, StorageError
from tests.loaders.s3 import Fault, serving
from tests.making import small_lake
from tests.opinions.conftest import SETTINGS
from tests.opinions.making import land_pictures

BOX = {"kind": "box", "label": "cell", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("urls") / "lake", *SETTINGS) as lake:
        land_pictures(lake, ["a.jpg", "x/b.jpg"])
        rows = [{"subject": name, "regions": [BOX]} for name in ("a.jpg", "x/b.jpg")]
        lh.record_opinions(lake, rows, source="s", question="cells", actor="human:ann", match="path")
        yield lake


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def export(lake, form, to, **more):
    return export_opinions(lake, format=form, path=to, question="cells", **more)


def test_a_folder_and_a_file_go_to_a_bucket_as_to_a_disk(measured, tmp_path):
    export(measured, "voc", tmp_path / "voc")
    export(measured, "coco", tmp_path / "cells.json")
    with serving(tmp_path / "served") as store:
        bucket = tmp_path / "served" / "bucket"
        bucket.mkdir(parents=True)
        to = {"storage": store.options(deadline_s=5)}
        receipt = export(measured, "voc", "s3://bucket/out/voc", **to)
        assert receipt.details["to"] == "s3://bucket/out/voc"
        found = files_of(bucket / "out/voc")
        assert json.loads(found.pop(RECORD))["format"] == "voc"
        assert found == files_of(tmp_path / "voc")
        assert export(measured, "voc", "s3://bucket/out/voc", **to).details["unchanged"]
        with pytest.raises(AlreadyPublishedError, match="s3://bucket/out/voc holds another export"):
            export(measured, "voc", "s3://bucket/out/voc", options={"voc_origin": 0}, **to)

        export(measured, "coco", "s3://bucket/cells.json", **to)
        assert (bucket / "cells.json").read_bytes() == (tmp_path / "cells.json").read_bytes()
        assert export(measured, "coco", "s3://bucket/cells.json", **to).details["unchanged"]
        (bucket / "cells.json").write_text("other")
        with pytest.raises(ConfigError, match=r"s3://bucket/cells\.json: it holds other things"):
            export(measured, "coco", "s3://bucket/cells.json", **to)

        store.faults.append(Fault("403", 100, "PUT", "b.xml"))
        with pytest.raises(StorageError, match="s3://bucket/half"):
            export(measured, "voc", "s3://bucket/half", **to)
        assert {CLAIM, RECORD} & set(files_of(bucket / "half")) == {CLAIM}
        store.faults.clear()
        export(measured, "voc", "s3://bucket/half", **to)
        assert files_of(bucket / "half") == {**found, RECORD: (bucket / "half" / RECORD).read_bytes()}
    assert not list(measured.scratch.glob("*export-*"))


def test_a_file_url_is_a_folder_and_what_is_no_store_is_refused(measured, tmp_path):
    export(measured, "voc", f"file://{tmp_path}/voc")
    assert sorted(files_of(tmp_path / "voc")) == ["a.xml", "x/b.xml"]
    with pytest.raises(FormatError, match="gopher"):
        export(measured, "voc", "gopher://host/voc")


@pytest.mark.parametrize("as_url", [False, True])
def test_nothing_is_exported_into_the_lake(measured, as_url):
    inside = measured.home.folder / "tables" / "out"
    with pytest.raises(ConfigError, match=r"the lake .* is there; give a place outside it"):
        export(measured, "voc", f"file://{inside}" if as_url else inside)
    assert not inside.exists()


def test_what_an_export_leaves_in_a_bucket_is_no_annotation(measured, tmp_path):
    export(measured, "labelme", tmp_path / "out")
    assert SIDECARS == (RECORD, CLAIM)
    (tmp_path / "out" / RECORD).write_text("{}")
    source = lh.OpinionSource(format="labelme", path=str(tmp_path / "out"), question="cells", actor="human:ann")
    assert lh.opinions(measured, source).counts["same"] == 2
