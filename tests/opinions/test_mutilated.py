"""Files of tools that somebody damaged at random: each ends in answers and rejects, none in another error."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest

from lakehouse.errors import IngestError
from lakehouse.opinions.reading.answer import Answer, Note, Reject, Tally
from tests.lanes import examples
from tests.opinions.making import items
from tests.opinions.test_labelme import png, shape
from tests.opinions.test_labelstudio import annotation, result, task
from tests.opinions.test_sounds import AUDACITY, LONG

EXAMPLES = examples(40, long=2_000)
ODD = (None, True, -1, 0, 1e308, "", "x", "1", [], {}, [1], {"x": 1}, 2**70, "\ud83d", 0.5, [[1, 2], [3]])

LABELSTUDIO = [
    task(annotation(
        result(id="a"), result("polygonlabels", {"points": [[0, 0], [50, 0], [50, 50]]}, control="p"),
        result("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 30}, control="e"),
        result("brushlabels", {"format": "rle", "rle": [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 206, 1, 31, 248]},
               control="m", size=(3, 2)),
        result("choices", {"choices": ["yes"]}, control="c", size=None, label=None),
        result("taxonomy", {"taxonomy": [["a", "b"]]}, control="t", size=None, label=None),
        result("labels", {"start": 5, "end": 8, "text": "sat"}, control="s", of="text", size=None),
        result("videorectangle", {"framesCount": 9, "labels": ["a"], "sequence": [
            {"x": 1, "y": 1, "width": 1, "height": 1, "rotation": 0, "frame": 1, "enabled": True}]}, control="v"),
        result("choices", {"choices": ["old"]}, control="age", id="a", label=None),
    ), predictions=[{"id": 5, "model_version": "cnn@3", "score": 0.5, "result": [result()]}, 7],
       drafts=[{"id": 1, "result": []}], data={"image": "1.jpg", "text": "A 🐱 sat"}),
]  # fmt: skip
LABELME = {"version": "5.5.0", "flags": {"a": True}, "imagePath": "1.jpg", "imageHeight": 4, "imageWidth": 6,
           "shapes": [
    shape("rectangle", (1, 1), (2, 2)), shape("circle", (1, 1), (2, 2)), shape("polygon", (0, 0), (1, 0), (1, 1)),
    shape("mask", (2, 1), (4, 2), mask=png([[0, 1, 1], [0, 0, 1]])), shape("points", (1, 2), (3, 4)),
    shape("oriented_rectangle", (0, 0), (1, 0), (1, 1), (0, 1))]}  # fmt: skip
OPENLABEL = {"openlabel": {"objects": {"1": {"name": "a", "type": "car", "object_data": {
    "bbox": [{"name": "s", "val": [1, 2, 3, 4]}], "rbbox": [{"val": [1, 2, 3, 4, 0.5]}]},
    "frame_intervals": [{"frame_start": 0, "frame_end": 4}]}}, "frames": {"2": {"objects": {"1": {}}}},
    "streams": {"c": {"uri": "1.jpg"}}}}  # fmt: skip
CVAT = (
    "<annotations><version>1.1</version><meta><task><size>9</size><source>a.mp4</source><labels><label><name>f</name>"
    "</label><label><name>e</name><parent>f</parent></label></labels></task></meta>"
    '<image id="0" name="1.jpg" width="6" height="4"><box label="a" xtl="1" ytl="1" xbr="2" ybr="2" rotation="3">'
    '<attribute name="b">c</attribute></box><polygon label="a" points="0,0;1,0;1,1"/><tag label="t"/>'
    '<mask label="a" left="2" top="1" width="3" height="2" rle="1, 2, 2, 1"/><ellipse label="a" cx="1" cy="1" rx="1" '
    'ry="1"/><skeleton label="f"><points label="e" points="1,2"/></skeleton></image>'
    '<track id="1" label="a"><box frame="0" keyframe="1" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/>'
    '<box frame="4" keyframe="1" outside="1" xtl="1" ytl="1" xbr="2" ybr="2"/></track></annotations>'
)
MOT = "1,3,260,177,232,200,1,1,0.75\n2,3,261,177,232,200,0,1,1\n"


def places(value: object, at: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(each for key, item in inside for each in places(item, (*at, key)))]


def damaged(document: object, dice: random.Random) -> str:
    """A document in which a few places hold something else, or nothing."""
    found = copy.deepcopy(document)
    for _ in range(dice.randint(1, 3)):
        at = dice.choice(places(found))
        if not at:
            continue
        holder = found
        for key in at[:-1]:
            holder = holder[key]
        if dice.random() < 0.3:
            del holder[at[-1]]
        else:
            holder[at[-1]] = dice.choice(ODD)
    return json.dumps(found)


def scratched(text: str, dice: random.Random) -> str:
    """A text in which a few characters are others, or missing."""
    found = list(text)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(found))
        found[place] = dice.choice(["", "9", "-", "x", ",", '"', "<", "\t", "\n", "\x00", "é", found[place] * 2])
    return "".join(found)


def read(name: str, path: Path, **options: object) -> None:
    try:
        found = items(name, path, **options)
    except IngestError:
        return
    assert all(isinstance(each, Answer | Reject | Note | Tally) for each in found)


@pytest.mark.parametrize(("name", "document"), [
    ("labelstudio", LABELSTUDIO), ("labelme", LABELME), ("openlabel", OPENLABEL),
])  # fmt: skip
def test_damaged_documents_end_in_answers_and_rejects(tmp_path, name, document):
    path = tmp_path / "a.json"
    for seed in range(EXAMPLES):
        dice = random.Random(f"{name} {seed}")
        text = damaged(document, dice) if seed % 4 else scratched(json.dumps(document), dice)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        read(name, path)


@pytest.mark.parametrize(("name", "file", "text"), [
    ("cvat", "a.xml", CVAT), ("textgrid", "a.TextGrid", LONG), ("audacity", "a.txt", AUDACITY), ("mot", "gt.txt", MOT),
])  # fmt: skip
def test_scratched_texts_end_in_answers_and_rejects(tmp_path, name, file, text):
    path = tmp_path / file
    for seed in range(EXAMPLES):
        path.write_text(scratched(text, random.Random(f"{name} {seed}")), encoding="utf-8")
        read(name, path)
