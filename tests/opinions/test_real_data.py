"""Real labels: CIFAR-10H's votes and BCCD's boxes, with the facts that their publishers state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lakehouse.config import load_config
from lakehouse.dimensions.step import dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.exporting.step import export_opinions
from lakehouse.opinions.step import OpinionSource
from lakehouse.opinions.step import opinions as import_opinions
from lakehouse.query import fetch
from tests.opinions.making import answers, counts, versions

CELLS = ("RBC", "WBC", "Platelets")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

AGREES = """
select count(*) as images, count(*) filter (where l.label = o.label) as agree
from labels l
join current_opinions o on o.subject_id = l.subject_id and o.question_id = l.question_id
where l.rank = 1 and o.actor_id = 'import:cifar10'
"""

BOXES = """
select s.name, r.label, r.x, r.y, r.w, r.h
from current_opinions o
join silver.entity_sources s on s.entity_id = o.subject_id
cross join lateral unnest(o.regions) as t(r)
"""


@pytest.fixture(scope="module")
def real_lake(
    real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, list[OpinionSource]]]:
    """A lake with both data sets landed by reference, and the sources of their opinions."""
    cifar, bccd = real_data("cifar10"), real_data("bccd")
    about_cifar = {"format": "csv", "source": "cifar10", "question": "object", "labels": CLASSES}
    sources = [
        OpinionSource(
            name="cifar10h", path=str(cifar / "opinions.csv"), actor="pool:cifar10h",
            options={"columns": {"subject": "image", "votes": "count"}}, **about_cifar,
        ),
        OpinionSource(
            name="cifar10", path=str(cifar / "index.csv"), actor="import:cifar10",
            options={"columns": {"subject": "image", "label": "cifar10_label"}}, **about_cifar,
        ),
        OpinionSource(
            name="bccd", format="voc", path=str(bccd / "Annotations"), source="bccd", question="cells",
            actor="import:bccd", labels=CELLS,
        ),
    ]
    root = tmp_path_factory.mktemp("real") / "lake"
    with open_lake(load_config(overrides=[f'lake.root="{root}"', "engine.workers=2"], environ={}), create=True) as lake:
        land(lake, Source(name="cifar10", folder=str(cifar), mode="link"))
        land(lake, Source(name="bccd", folder=str(bccd / "JPEGImages"), mode="link"))
        entities(lake)
        read = [import_opinions(lake, source).counts for source in sources]
        assert read == [counts(read=5823, new=5823), counts(read=3000, new=3000), counts(read=364, new=364)]
        yield lake, sources


@pytest.mark.slow
def test_every_vote_of_cifar10h_is_counted_by_sql(real_lake):
    lake, _ = real_lake
    rows = fetch(lake, "select count(distinct subject_id) as images, sum(votes) as votes from current_opinions "
                       "where actor_id = 'pool:cifar10h'")
    assert (rows[0]["images"], int(rows[0]["votes"])) == (3000, 153_155)


@pytest.mark.slow
def test_the_majority_equals_the_label_of_the_data_set_for_99_40_percent(real_lake):
    lake, _ = real_lake
    assert fetch(lake, AGREES) == [{"images": 3000, "agree": 2982}]


@pytest.mark.slow
def test_image_2405_is_a_cat_to_its_folder_and_a_frog_to_everybody(real_lake):
    lake, _ = real_lake
    rows = fetch(lake, "select l.label, l.share, l.rank from labels l join silver.entity_sources s "
                       "on s.entity_id = l.subject_id where s.path = 'test/cat/0235.jpg'")
    assert rows == [{"label": "frog", "share": 1.0, "rank": 1}]


@pytest.mark.slow
def test_bccd_keeps_every_box_one_pixel_ones_included(real_lake):
    lake, _ = real_lake
    boxes = fetch(lake, BOXES)
    assert len(boxes) == 4888
    assert {label: sum(box["label"] == label for box in boxes) for label in ("RBC", "WBC", "Platelets")} == {
        "RBC": 4155, "WBC": 372, "Platelets": 361,
    }
    assert sum((box["w"], box["h"]) == (1, 1) for box in boxes) == 2
    first = [box for box in boxes if (box["name"], box["label"]) == ("BloodImage_00000.jpg", "WBC")]
    assert [[box[side] for side in "xywh"] for box in first] == [[259, 176, 232, 200]]
    frames = fetch(lake, "select distinct frame_w, frame_h from current_opinions where question_id = 'cells'")
    assert frames == [{"frame_w": 640, "frame_h": 480}]


@pytest.mark.slow
def test_a_second_import_of_real_data_adds_no_row_to_any_table(real_lake):
    lake, sources = real_lake
    before = versions(lake)
    assert not any(import_opinions(lake, source).changed for source in sources)
    assert versions(lake) == before


def _xml(file: Path) -> list[tuple[str | None, ...]]:
    root = ElementTree.parse(file).getroot()
    tags = ("name", "pose", "truncated", "difficult", "bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax")
    size = tuple(root.findtext(f"size/{side}") for side in ("width", "height", "depth"))
    return [size, *(tuple(each.findtext(tag) for tag in tags) for each in root.iter("object"))]


@pytest.mark.slow
def test_bccd_goes_to_coco_and_back_with_the_same_integers_in_all_files(real_lake, real_data, tmp_path):
    lake, _ = real_lake
    dimensions(lake)
    folder = real_data("bccd") / "Annotations"
    export_opinions(lake, format="coco", path=tmp_path / "a.json", question="cells", actor="import:bccd", source="bccd")
    about = {"format": "coco", "path": str(tmp_path / "a.json"), "source": "bccd", "question": "cells"}
    # The same answers in other words are the same answers.
    same = import_opinions(lake, OpinionSource(name="coco", actor="import:bccd", labels=CELLS, **about))
    assert same.counts == counts(read=364, same=364)
    coco = OpinionSource(actor="import:coco", **about)
    assert import_opinions(lake, coco).counts == counts(read=364, new=364)
    export_opinions(lake, format="voc", path=tmp_path / "voc", question="cells", actor="import:coco")
    files = sorted(folder.glob("*.xml"))
    differing = [file.name for file in files if _xml(file) != _xml(tmp_path / "voc" / file.name)]
    assert (len(files), sum(len(_xml(file)) - 1 for file in files), differing) == (364, 4888, [])
    # Moved by a pixel, one box supersedes one answer.
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace("[259, 176, 232, 200]", "[260, 176, 232, 200]"))
    assert import_opinions(lake, coco).counts == counts(read=364, new=1, same=363)


def test_the_crowd_of_dog_is_read_with_labels_as_text(real_data):
    options = {"columns": {"subject": "question", "label": "answer", "actor": "worker"}, "actor_prefix": "human:"}
    found = answers("csv", real_data("crowd") / "dog" / "answers.csv", **options)
    assert len(found) == 8070
    assert len({each.subject_key for each in found}) == 807
    assert len({each.actor_id for each in found}) == 109
    assert {each.value for each in found} == {"0", "1", "2", "3"}
