"""BCCD's boxes through the files of every tool and back: 364 pictures, 4,888 boxes, the same numbers."""

from __future__ import annotations

import pytest

from lakehouse.opinions.formats import read_answers
from lakehouse.opinions.formats.writer import Ontology, Said, Subject
from tests.making import entity_id
from tests.opinions.making import SAID
from tests.opinions.writing import read, write


@pytest.mark.parametrize(("name", "place"), [
    ("labelstudio", "a.json"), ("cvat", "out"), ("labelme", "out"), ("parquet", "out"),
])  # fmt: skip
def test_boxes_of_real_files_come_back_as_they_were(real_data, tmp_path, name, place):
    found = read_answers("voc", real_data("bccd") / "Annotations", {**SAID, "subject": "file"})
    given = [each for each in found if hasattr(each, "value")]
    said = [
        Said(each, Subject(entity_id(each.subject_key), f"{each.subject_key}.jpg", width=each.frame.width,
                           height=each.frame.height)) for each in given
    ]  # fmt: skip
    labels = sorted({region.label for each in said for region in each.regions})
    options = {"content": False} if name == "parquet" else {}
    write(name, tmp_path / place, *said, ontology=Ontology(labels=tuple(labels)), **options)
    back = {each.subject_key: each for each in read(name, tmp_path / place)}
    assert (len(said), sum(len(each.regions) for each in said)) == (364, 4_888)
    for each in said:
        answer = back[each.subject.name]
        ours = [(r.label, r.x, r.y, r.w, r.h) for r in each.regions]
        theirs = [(r.label, r.x, r.y, r.w, r.h) for r in answer.value]
        assert ours == theirs, each.subject.name
