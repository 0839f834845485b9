"""Files that somebody made to do harm: each ends in a counted reject or an error that says what is wrong, at once."""

from __future__ import annotations

import gzip
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.errors import IngestError
from lakehouse.opinions.formats import format_named, format_options
from lakehouse.opinions.reading.answer_rows import ReadPlan, item_batches
from tests.opinions.making import SAID

MOST_BYTES = 400 << 20
"""Of memory, for files of some kilobytes to 10 MB."""

DIGITS = "9" * 4_000
LONG = "x" * (10 << 20)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fates(name: str, path: Path, **options: object) -> set[str]:
    """What becomes of the records of a file: rules of rejects, `taken`, or `error`."""
    form = format_named(name)
    checked = format_options(name, {**SAID, **options})
    found = set()
    tracemalloc.start()
    try:
        if form.stated is not None:
            form.stated(path, checked)
        for part in form.parts(path):
            for batch in item_batches(form.read(path, part, checked), ReadPlan(rules={}, now=NOW, path=str(path))):
                for row in batch.select(["kind", "rule"]).to_pylist():
                    if row["kind"] in ("answer", "reject"):
                        found.add(row["rule"] or "taken")
    except IngestError:
        found.add("error")
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < MOST_BYTES, f"{name}: {most >> 20} MiB"
    return found


def coco(annotation: str = "", image: str = "", category: str = "", more: str = "") -> str:
    return (
        '{"images": [{"id": 1, "file_name": "1.jpg", "width": 640, "height": 480' + image + '}], "categories": '
        '[{"id": 1, "name": "cell"' + category + '}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, '
        '"iscrowd": 0' + (annotation or ', "bbox": [1, 2, 3, 4]') + "}]" + more + "}"
    )


def mask(size: str, counts: str) -> str:
    return f', "segmentation": {{"size": {size}, "counts": {counts}}}'


COCO = {
    "sound": (coco(), {"taken"}),
    "deep": ('{"images":' + "[" * 100_000, {"error"}),
    "a long name": (coco(image=f', "x": "{LONG}"').replace("1.jpg", LONG), {"subject_too_long"}),
    "a key twice": (coco(more=', "images": []'), {"error"}),
    "NaN": (coco(', "bbox": [NaN, 2, 3, 4]'), {"error"}),
    "inf": (coco(', "bbox": [1e999, 2, 3, 4]'), {"not_finite"}),
    "a negative side": (coco(', "bbox": [1, 2, -3, 4]'), {"inverted_box"}),
    "a negative picture": (coco(image=', "x": 1').replace("640", "-640"), {"bad_size"}),
    "an area below 0": (coco(', "bbox": [1, 2, 3, 4], "area": -1'), {"inverted_box"}),
    "a frame of all pixels": (coco(mask("[2147483647, 2147483647]", "[4611686014132420609]")), {"bad_mask"}),
    "runs that wrap": (coco(mask("[2, 2]", "[18446744073709551620]")), {"bad_mask"}),
    "runs below 0": (coco(mask("[2, 2]", "[-4, 8]")), {"bad_mask"}),
    "a text that is no mask": (coco(mask("[480, 640]", '"' + "~" * 1_000_000 + '"')), {"bad_mask"}),
    "a float as id": (coco().replace('"image_id": 1', '"image_id": 1.0'), {"bad_id", "taken"}),
    "an id of 4,000 digits": (coco().replace('"image_id": 1', f'"image_id": {DIGITS}'), {"bad_id", "taken"}),
    "an id of 5,000 digits": (coco().replace('"image_id": 1', f'"image_id": {DIGITS}{DIGITS}'), {"error"}),
    "a category of 4,000 digits": (coco().replace('{"id": 1, "name"', f'{{"id": {DIGITS}, "name"'), {"error"}),
    "a score of 4,000 digits": (coco(f', "bbox": [1, 2, 3, 4], "score": {DIGITS}'), {"not_finite"}),
    "no such category": (coco().replace('"category_id": 1', '"category_id": 2'), {"unknown_category"}),
    "one category twice": (coco(category='}, {"id": 1, "name": "other"'), {"error"}),
    "half a surrogate": (coco().replace("cell", "\\ud83d"), {"error"}),
    "NUL": (coco().replace("cell", "\\u0000"), {"error"}),
    "no place": (coco(', "bbox": null'), {"no_box"}),
    "half a point": (coco(', "segmentation": [[1, 2, 3]]'), {"bad_polygon"}),
    "a polygon to the end of the world": (coco(', "segmentation": [[1e300, 0, -1e300, 1e300, 0, 0]]'), {"taken"}),
    "texts as numbers": (coco(', "bbox": ["1", "2", "3", "4"]'), {"not_a_number"}),
    "visibility 7": (coco(', "keypoints": [1, 2, 7]'), {"bad_keypoints"}),
}  # fmt: skip

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(20))
VOC = ("<annotation><filename>1.jpg</filename><size><width>640</width><height>480</height></size><object><name>cell"
       "</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>")
CVAT = ('<annotations><image id="0" name="1.jpg" width="640" height="480">'
        '<box label="cell" xtl="1" ytl="2" xbr="3" ybr="4"/></image></annotations>')
CVAT_MASK = '<mask label="cell" left="0" top="0" width="2" height="1" rle="1, 1"/>'
BOX = '<box label="cell" xtl="1" ytl="2" xbr="3" ybr="4"/>'
XML = {
    ("voc", "sound"): (VOC, {"taken"}),
    ("voc", "a thousand million laughs"): (f"<!DOCTYPE a [{LAUGHS}]>{VOC.replace('cell', '&l19;')}", None),
    ("voc", "a file of the machine"): (f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                                       f"{VOC.replace('cell', '&x;')}", None),
    ("voc", "deep"): ("<annotation>" + "<object>" * 100_000, None),
    ("voc", "a long name"): (VOC.replace("cell", LONG), None),
    ("voc", "NaN"): (VOC.replace("<xmin>1", "<xmin>nan"), {"not_a_number"}),
    ("voc", "inf"): (VOC.replace("<xmin>1", "<xmin>1e999"), {"not_finite"}),
    ("voc", "4,000 digits"): (VOC.replace("<xmin>1", f"<xmin>{DIGITS}"), {"not_finite"}),
    ("voc", "a negative side"): (VOC.replace("<xmax>3", "<xmax>-3"), {"inverted_box"}),
    ("voc", "a negative picture"): (VOC.replace("640", "-640"), {"bad_size"}),
    ("voc", "a corner twice"): (VOC.replace("<xmin>1", "<xmin>2</xmin><xmin>1"), None),
    ("voc", "NUL"): (VOC.replace("cell", "\x00"), None),
    ("cvat", "sound"): (CVAT, {"taken"}),
    ("cvat", "a thousand million laughs"): (f"<!DOCTYPE a [{LAUGHS}]>{CVAT}", None),
    ("cvat", "a mask in all pixels"): (CVAT.replace("640", "2000000").replace("480", "2000000")
                                       .replace(BOX, CVAT_MASK), {"bad_mask"}),
    ("cvat", "a small mask in 1 Gpx"): (CVAT.replace("640", "32000").replace("480", "32000")
                                        .replace(BOX, CVAT_MASK), {"taken"}),
    ("cvat", "a mask that is none"): (CVAT.replace(BOX, CVAT_MASK.replace("1, 1", DIGITS)), None),
    ("cvat", "a picture of 4,000 digits"): (CVAT.replace("640", DIGITS), None),
    ("cvat", "NaN"): (CVAT.replace('xtl="1"', 'xtl="nan"'), {"not_a_number"}),
    ("cvat", "a frame of 4,000 digits"): (
        f'<annotations><meta><task><source>a.mp4</source></task></meta><track id="1" label="a">'
        f'<box frame="{DIGITS}" xtl="1" ytl="2" xbr="3" ybr="4"/></track></annotations>', None),
}  # fmt: skip

SHAPE = '{"label": "cell", "shape_type": "rectangle", "points": [[1, 2], [3, 4]]}'
LABELME = '{"imagePath": "1.jpg", "imageWidth": 640, "imageHeight": 480, "shapes": [' + SHAPE + "]}"
ONE_PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg==")
PNG = SHAPE.replace("rectangle", "mask").replace("[3, 4]]", f'[1, 2]], "mask": "{ONE_PIXEL}"')
LINE = '{"subject": "1.jpg", "regions": [{"kind": "box", "label": "cell", "x": 1, "y": 2, "w": 3, "h": 4}]}'
RLE = ('{"subject": "1.jpg", "regions": [{"kind": "mask", "label": "cell", "mask_encoding": "coco_rle", "mask_counts": '
       '"COUNTS", "mask_h": 2, "mask_w": 2}]}')
STUDIO = ('[{"id": 1, "data": {"image": "1.jpg"}, "annotations": [{"id": 7, "completed_by": 1, "result": [{"id": "a", '
          '"type": "brushlabels", "from_name": "b", "to_name": "i", "original_width": 100000, "original_height": '
          '100000, "value": {"format": "rle", "rle": [0, 0, 0, 24, 57], "brushlabels": ["cell"]}}]}]}]')
OPENLABEL = ('{"openlabel": {"objects": {"1": {"name": "a", "type": "car", "object_data": {"bbox": [{"name": "s", '
             '"val": [1, 2, 3, 4]}]}, "frame_intervals": [{"frame_start": 0, "frame_end": 4}]}}, '
             '"streams": {"c": {"uri": "1.jpg"}}}}')
GRID = ('File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n1\n"IntervalTier"\n"words"\n0\n1\n'
        '999999999\n0\n1\n"a"\n')
OTHERS = {
    ("labelme", "sound"): (LABELME, {"taken"}),
    ("labelme", "a small mask in 1 Gpx"): (LABELME.replace(SHAPE, PNG).replace("640", "32000").replace("480", "32000"),
                                           {"taken"}),
    ("labelme", "a mask in all pixels"): (LABELME.replace(SHAPE, PNG).replace("640", "2000000")
                                          .replace("480", "2000000"), {"bad_mask"}),
    ("labelme", "inf"): (LABELME.replace("[1, 2]", "[1e999, 2]"), None),
    ("labelme", "deep"): (LABELME.replace("[1, 2]", "[" * 90_000), None),
    ("labelme", "a key twice"): (LABELME.replace("{\"im", '{"shapes": [], "im'), None),
    ("labelstudio", "a brush in all pixels"): (STUDIO, None),
    ("labelstudio", "a long name"): (STUDIO.replace('"cell"', f'"{LONG}"'), None),
    ("jsonl", "sound"): (LINE, {"taken"}),
    ("jsonl", "inf"): (LINE.replace('"x": 1', '"x": 1e999'), None),
    ("jsonl", "4,000 digits"): (LINE.replace('"x": 1', f'"x": {DIGITS}'), None),
    ("jsonl", "a mask"): (RLE.replace("COUNTS", "04"), {"taken"}),
    ("jsonl", "a text that is no mask"): (RLE.replace("COUNTS", "~~~~"), {"bad_mask"}),
    ("jsonl", "parts that do not add up"): (
        LINE.replace('"box"', '"polygon", "part_sizes": [3, 900], "points": [{"x": 1, "y": 2}]'), {"bad_polygon"}),
    ("jsonl", "half a surrogate"): (LINE.replace("cell", "\\ud83d"), None),
    ("jsonl", "a long line"): (LINE.replace("cell", LONG * 2), None),
    ("openlabel", "sound"): (OPENLABEL, {"taken"}),
    ("openlabel", "a frame of 20 digits"): (OPENLABEL.replace('"frame_end": 4', '"frame_end": ' + "9" * 20), None),
    ("openlabel", "an interval that ends before it begins"): (
        OPENLABEL.replace('"frame_start": 0', '"frame_start": 9'), {"inverted_interval"}),
    ("mot", "sound"): ("1,1,1,2,3,4,1,1,1\n", {"taken"}),
    ("mot", "a frame beyond all numbers"): ("1e300,1,1,2,3,4,1,1,1\n", None),
    ("mot", "an id beyond all numbers"): ("1,1e999,1,2,3,4,1,1,1\n", None),
    ("mot", "NUL"): ("1,1,1,2,3\x00,4,1,1,1\n", None),
    ("yolo", "sound"): ("0 0.5 0.5 0.1 0.1\n", {"taken"}),
    ("yolo", "NaN"): ("0 nan 0.5 0.1 0.1\n", None),
    ("yolo", "a negative side"): ("0 0.5 0.5 -0.1 0.1\n", None),
    ("yolo", "a class of 4,000 digits"): (f"{DIGITS} 0.5 0.5 0.1 0.1\n", None),
    ("yolo", "half a class"): ("0.5 0.5 0.5 0.1 0.1\n", None),
    ("yolo", "a long line"): ("0 " + "0.5 " * 2_000_000, None),
    ("textgrid", "a thousand million intervals"): (GRID, None),
    ("audacity", "inf"): ("1e999\t2\ta\n", None),
    ("audacity", "a time below its start"): ("3\t2\ta\n", {"inverted_interval"}),
}  # fmt: skip
ENDINGS = {"coco": ".json", "labelme": ".json", "labelstudio": ".json", "openlabel": ".json", "jsonl": ".jsonl",
           "voc": ".xml", "cvat": ".xml", "textgrid": ".TextGrid"}  # fmt: skip
OPTIONS = {"yolo": {"task": "detect", "classes": ["cell"]}, "mot": {"what": "gt"}, "audacity": {"subject": "a.wav"}}
ALL = {("coco", name): case for name, case in COCO.items()} | XML | OTHERS


def written(form: str, folder: Path, data: bytes) -> Path:
    path = folder / f"a{ENDINGS.get(form, '.txt')}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", dict.fromkeys(form for form, _ in ALL))
def test_what_does_harm_is_refused_by_its_name(tmp_path, form):
    found = {}
    for (of, name), (text, expected) in ALL.items():
        if of != form:
            continue
        got = fates(form, written(form, tmp_path, text.encode("utf-8", "surrogatepass")), **OPTIONS.get(form, {}))
        is_right = got == expected if expected is not None else bool(got) and "taken" not in got
        if not is_right:
            found[name] = (got, expected)
    assert found == {}


@pytest.mark.parametrize("form", dict.fromkeys(form for form, name in ALL if name == "sound"))
def test_a_mark_and_other_line_ends_are_read_and_packed_files_are_not(tmp_path, form):
    text = ALL[form, "sound"][0]
    options = OPTIONS.get(form, {})
    marked = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert fates(form, written(form, tmp_path, marked), **options) == {"taken"}
    packed = fates(form, written(form, tmp_path, gzip.compress(text.encode())), **options)
    assert packed
    assert "taken" not in packed


@pytest.mark.parametrize(("form", "text", "notes"), [
    ("coco", coco(', "bbox": [600, 2, 300, 0]'), ["outside_frame", "empty_region"]),
    ("coco", coco(', "segmentation": [[1e300, 0, -1e300, 1e300, 0, 0]]'), ["outside_frame"]),
    ("jsonl", RLE.replace("COUNTS", "05"), ["mask_unfit"]),
])  # fmt: skip
def test_what_is_odd_and_can_be_kept_is_taken_with_a_note(tmp_path, form, text, notes):
    path = written(form, tmp_path, text.encode())
    options = format_options(form, SAID)
    (batch,) = item_batches(format_named(form).read(path, "", options), ReadPlan(rules={}, now=NOW))
    assert [each.partition(":")[0] for each in batch.to_pylist()[0]["notes"]] == notes
