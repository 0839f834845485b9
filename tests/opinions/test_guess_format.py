"""Files of several formats with one ending are told apart by how they begin, or asked back about."""

from __future__ import annotations

import pytest

from lakehouse.errors import ConfigError
from lakehouse.opinions.reading.guess_format import guess_format

LABELSTUDIO = '[{"id": 1, "data": {"image": "1.jpg"}, "annotations": []}]'
CVAT = "<?xml version='1.0'?><annotations><version>1.1</version></annotations>"
COCO = '{"images": [], "annotations": [], "categories": []}'
LABELME = '{"version": "5.5.0", "flags": {}, "shapes": [], "imagePath": "1.jpg"}'
VOC = "<annotation><filename>1.jpg</filename></annotation>"


@pytest.mark.parametrize(("name", "text", "found"), [
    ("a.json", LABELSTUDIO, "labelstudio"),
    ("a.JSON", "\ufeff\n" + LABELSTUDIO, "labelstudio"),
    ("a.json", COCO, "coco"),
    ("in/a.json", LABELME, "labelme"),
    ("a.TextGrid", 'File type = "ooTextFile"', "textgrid"),
    ("in/a.parquet", "PAR1", "parquet"),
    ("a.xml", CVAT, "cvat"),
    ("a.xml", VOC, "voc"),
])  # fmt: skip
def test_a_file_is_known_by_how_it_begins(tmp_path, name, text, found):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert guess_format(tmp_path / name) == found
    assert guess_format(tmp_path) == found


def test_a_file_that_begins_as_none_of_them_is_asked_back_with_all_that_end_so(tmp_path):
    (tmp_path / "a.json").write_text('{"what": "ever"}')
    with pytest.raises(ConfigError, match=r"say which it is: .*--format labelstudio"):
        guess_format(tmp_path / "a.json")
