"""Every page on real and on drawn files: what stands where, by eye, by keyboard and for a screen reader."""

from __future__ import annotations

import gzip
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from PIL import Image, ImageDraw

from examples.pictures.files import RATE
from examples.pictures.lake import MODEL, demo_lake
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import Question
from lakehouse.query import fetch
from lakehouse.viewing.serve import serving
from tests.viewing.browsing import opened_tab, pixels
from tests.viewing.conftest import Seen

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

AXE = gzip.decompress((Path(__file__).parent / "axe.min.js.gz").read_bytes()).decode()
SMEARS = ("BloodImage_00000", "BloodImage_00011")
PETS = ("test/cat/0000.jpg", "test/bird/0255.jpg", "test/bird/0149.jpg")
DIGIT = "recordings/4_lucas_2.wav"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, real_data: Callable[[str], Path]) -> Iterator[Seen]:
    """The lake of the documents' pictures, with some files of BCCD, CIFAR-10 and FSDD, for somebody who may answer."""
    home = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
        with demo_lake(home) as (lake, ids):
            ids |= _real(lake, home / "real", real_data)
            with serving(lake, scratch=home / "previews", actor="human:eve") as address:
                yield Seen(lake, address, ids)


@pytest.fixture(scope="module")
def tab(shown: Seen) -> Iterator[Tab]:
    with opened_tab(shown.address) as page:
        yield page


def boxes_of(folder: Path, name: str) -> list[dict[str, object]]:
    """Return the boxes of a picture of BCCD, which are Pascal VOC's."""
    root = ET.parse(folder / "Annotations" / f"{name}.xml").getroot()
    found = []
    for each in root.findall("object"):
        left, upper, right, lower = (
            float(each.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        found.append(
            {
                "kind": "box",
                "label": each.findtext("name"),
                "x": left,
                "y": upper,
                "w": right - left,
                "h": lower - upper,
            }
        )
    return found


def _real(lake: Lake, folder: Path, real_data: Callable[[str], Path]) -> dict[str, str]:
    paths = {f"{name}.jpg": real_data("bccd") / "JPEGImages" / f"{name}.jpg" for name in SMEARS}
    paths |= {path.replace("/", "_"): real_data("cifar10") / path for path in PETS}
    paths |= {"digit.wav": real_data("fsdd") / DIGIT}
    folder.mkdir()
    for name, path in paths.items():
        (folder / name).write_bytes(path.read_bytes())
    land(lake, Source(name="real", folder=str(folder)))
    entities(lake)
    rows = fetch(lake, "select name, entity_id from silver.entity_sources where source = 'real'")
    ids = {str(row["name"]): str(row["entity_id"]) for row in rows}
    bccd = Question(
        question_id="bccd", title="Which blood cells?", answer_kind="regions", labels=("RBC", "WBC", "Platelets")
    )
    said = [
        {"entity_id": ids[f"{name}.jpg"], "regions": boxes_of(real_data("bccd"), name), "frame_w": 640, "frame_h": 480}
        for name in SMEARS
    ]
    record_opinions(lake, said, source="bccd", question=bccd, actor="import:bccd")
    return ids


def to(page: str, **args: str) -> str:
    return f"#/{page}?{urlencode(args, quote_via=quote)}"


def goto(tab: Tab, shown: Seen, address: str, ready: str) -> None:
    tab.goto("about:blank")
    tab.goto(f"{shown.base}/{address}")
    tab.locator(ready).first.wait_for()


def entity(shown: Seen, name: str, **more: str) -> str:
    return to("entity", id=shown.ids[name], **more)


def faults(tab: Tab, where: str) -> list[str]:
    """Return the serious and critical faults that axe finds, each with where it is."""
    if not tab.evaluate("Boolean(window.axe)"):
        tab.evaluate(AXE)
    found: dict[str, Any] = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{where}: {each['id']}: {node['html'][:160]} {node['any'][0]['message'][:120] if node['any'] else ''}"
            for each in found["violations"] if each["impact"] in ("serious", "critical")
            for node in each["nodes"][:3]]  # fmt: skip


def test_axe_finds_no_serious_fault_on_any_page_bright_or_dark_wide_or_narrow(tab, shown):
    newest, older = (
        row["dataset_id"] for row in shown.ask("select dataset_id from gold.datasets order by built_at desc")
    )
    (evaluation,) = shown.ask("select distinct evaluation_id from gold.evaluations")
    pages = [
        (to("grid", sql="select subject_id as entity_id, label from labels where question_id = 'shape'"), ".tile svg"),
        (to("grid", sql="select entity_id from entitles"), "[role=alert]"),
        (entity(shown, "smear_03.jpg"), ".timeline li"),
        (entity(shown, "shape_003.png", day="2024-05-08"), ".timeline li"),
        (entity(shown, "smear_02.jpg", sides="human:ann|model:finder@1"), ".sides .shape"),
        (entity(shown, "call_1.wav"), ".timeline li"), (entity(shown, "balls.mp4"), ".film .track"),
        (entity(shown, "field_0.npy"), ".scale"), (entity(shown, "note_0.txt"), "mark"),
        (to("disagreements", question="cells"), ".tile .votes"),
        ("#/datasets", "table"), (to("dataset", name=newest), "table"),
        ("#/evaluations", "table"), (to("evaluation", id=evaluation["evaluation_id"]), ".confusion"),
        (to("diff", old=older, new=newest), ".tile"), ("#/rejected", "table"), ("#/quality", "table"),
    ]  # fmt: skip
    found: list[str] = []
    wide: list[str] = []
    try:
        _look_for_faults(tab, shown, pages, found, wide)
    finally:
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.emulate_media(color_scheme="light")
    assert (found, wide) == ([], [])


def _look_for_faults(tab: Tab, shown: Seen, pages: list[tuple[str, str]], found: list[str], wide: list[str]) -> None:
    for number, (address, ready) in enumerate(pages):
        # Colours and widths hang on no page: every page is seen in both, every other one in each pair.
        narrow, dark = number % 2 == 0, number % 4 < 2
        for is_narrow, is_dark in ((narrow, dark), (not narrow, not dark)):
            tab.set_viewport_size({"width": 390 if is_narrow else 1280, "height": 850})
            tab.emulate_media(color_scheme="dark" if is_dark else "light")
            if (is_narrow, is_dark) == (narrow, dark):
                goto(tab, shown, address, ready)
            found += faults(tab, f"{address[:60]} {'narrow' if is_narrow else ''} {'dark' if is_dark else ''}")
            wide += [address] if is_narrow and tab.evaluate("document.documentElement.scrollWidth") > 390 else []
    tab.keyboard.press("?")
    tab.locator("dialog[open]").wait_for()
    found += faults(tab, "keys")
    tab.keyboard.press("Escape")
    tab.evaluate("document.querySelector('main').append(new Image())")
    assert "image-alt" in " ".join(faults(tab, "a picture without a name")), "axe finds nothing at all"


def test_the_grid_is_gone_through_by_arrows_and_the_focus_is_seen(tab, shown):
    goto(tab, shown, to("grid", sql="select entity_id from entities_wide where width = 48"), ".tile[href]")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "sql"
    tab.locator(".grid").focus()

    def at() -> int:
        return int(tab.evaluate("Number(document.activeElement.dataset.at ?? -1)"))

    columns = tab.evaluate("getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length")
    for key, expected in (
        ("ArrowRight", 1),
        ("ArrowDown", 1 + columns),
        ("ArrowLeft", columns),
        ("End", 119),
        ("Home", 0),
    ):
        tab.keyboard.press(key)
        tab.wait_for_function("at => document.activeElement.dataset.at === String(at)", arg=expected)
        assert at() == expected
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    tab.locator("main.entity .timeline li").first.wait_for()
    tab.keyboard.press("g")
    tab.locator(".tile[href]").first.wait_for()


def test_a_picture_is_zoomed_moved_and_told_by_keys(tab, shown):
    goto(tab, shown, entity(shown, f"{SMEARS[0]}.jpg"), ".large .shape")
    tab.locator(".frame").focus()

    def view() -> list[float]:
        return [float(each) for each in tab.locator(".large svg").get_attribute("viewBox").split()]

    assert view() == [0, 0, 640, 480]
    tab.keyboard.press("+")
    tab.wait_for_function("() => document.querySelector('.large svg').getAttribute('viewBox') !== '0 0 640 480'")
    assert view() == pytest.approx([64, 48, 512, 384])
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function(
        "() => Number(document.querySelector('.large svg').getAttribute('viewBox').split(' ')[0]) > 100"
    )
    assert view() == pytest.approx([115.2, 48, 512, 384])
    tab.keyboard.press("0")
    tab.keyboard.press("]")
    tab.get_by_text("WBC of import:bccd, 231 × 199 px at 260, 177").wait_for()
    assert view() == [0, 0, 640, 480]


def test_a_box_is_drawn_changed_and_taken_away_by_keys(tab, shown):
    name = "smear_07.jpg"
    text = f"""select regions, actor_id, event_time from current_opinions where actor_id = 'human:eve'
        and question_id = 'cells' and subject_id = '{shown.ids[name]}'"""

    def boxes() -> list[list[float]]:
        (row,) = shown.ask(text)
        assert row["event_time"] is not None
        return [[round(each[side], 2) for side in "xywh"] for each in row["regions"]]

    goto(tab, shown, entity(shown, name), ".annotate select")
    tab.locator(".annotate select").select_option("cells")
    tab.keyboard.press("Escape")
    tab.locator("main h2").first.click()
    tab.keyboard.press("2")
    tab.wait_for_function("() => document.activeElement.className === 'frame'")
    for key in ("b", "ArrowRight", "Shift+ArrowDown", "Enter"):
        tab.keyboard.press(key)
    tab.locator("[role=status]", has_text="recorded").wait_for()
    tab.get_by_role("button", name="change a box").wait_for()
    assert boxes() == [[110, 80, 106, 83]]
    tab.locator("main h2").first.click()
    tab.keyboard.press("Escape")
    tab.keyboard.press("e")
    tab.locator(".draft").wait_for()
    tab.keyboard.press("ArrowLeft")
    with tab.expect_response("**/api/annotate"):
        tab.keyboard.press("Enter")
    assert boxes() == [[107, 80, 106, 83]]
    tab.get_by_role("button", name="change a box").click()
    tab.locator(".draft").wait_for()
    with tab.expect_response("**/api/annotate"):
        tab.keyboard.press("Delete")
    assert boxes() == []
    # Nothing of that is gone: what was replaced stands beside what holds now.
    tab.get_by_role("button", name="beside what holds now").first.click()
    tab.locator(".sides figure:nth-child(1) rect.shape").wait_for()
    assert tab.locator(".sides figure:nth-child(2) .shape").count() == 0
    assert "then=" in tab.url


def test_boxes_of_bccd_are_where_pillow_draws_them(tab, shown, real_data):
    name = SMEARS[0]
    goto(tab, shown, entity(shown, f"{name}.jpg"), ".large .shape")
    tab.evaluate("document.querySelectorAll('.large .stage image, .large .label').forEach(each => each.remove())")
    found = pixels(tab, ".large svg")
    room = tab.locator(".large svg").bounding_box()
    scale = min(room["width"] / 640, room["height"] / 480)
    # The picture stands in the middle of its room, which need not begin at a whole px of the screen.
    left = room["x"] % 1 + (room["width"] - 640 * scale) / 2
    top = room["y"] % 1 + (room["height"] - 480 * scale) / 2
    drawn = Image.new("L", (found.shape[1], found.shape[0]))
    for box in boxes_of(real_data("bccd"), name):
        x, y, w, h = (float(box[side]) * scale for side in "xywh")  # type: ignore[arg-type]
        ImageDraw.Draw(drawn).rectangle((left + x, top + y, left + x + w, top + y + h), outline=255)
    seen = (found.max(axis=2) - found.min(axis=2)) > 60
    wanted = np.asarray(drawn) > 0
    assert wanted.sum() > 1000
    assert not (wanted & ~_grown(seen)).any()
    assert not (seen & ~_grown(_grown(wanted))).any()  # a line is 2 px wide: 1 px beside its middle, and 1 px more


def _grown(mask: np.ndarray) -> np.ndarray:
    """Return a mask with all pixels that touch it."""
    padded = np.pad(mask, 1)
    return np.logical_or.reduce([
        padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    ])  # fmt: skip


def test_a_mask_has_the_colour_of_its_class_and_its_own_pixels_alone(tab, shown):
    goto(tab, shown, entity(shown, "smear_02.jpg", no_questions='["cells"]'), ".large .pixels")
    colour = (
        tab.locator(".toggles button", has_text="white")
        .locator("i")
        .evaluate("each => getComputedStyle(each).backgroundColor")
    )
    wanted = np.array([int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")])
    tab.evaluate(
        "document.querySelectorAll('.large .stage image.smooth, .large .label').forEach(each => each.remove())"
    )
    found = pixels(tab, ".large svg")
    ground = found[10, 10]
    tall, wide = found.shape[:2]
    scale = min(wide / 320, tall / 240)
    text = "select regions from current_opinions where question_id = 'outline' and subject_id = "
    (row,) = shown.ask(f"{text}'{shown.ids['smear_02.jpg']}'")
    area = sum(_inside(region["mask_counts"], region["mask_h"], region["mask_w"]) for region in row["regions"])
    half = (wanted + ground) / 2
    painted = np.abs(found - half).max(axis=2) <= 3
    assert painted.sum() == pytest.approx(area * scale**2, rel=0.03)


def _inside(counts: str, height: int, width: int) -> int:
    from loaders.decoding.masks import decode_mask

    return int(decode_mask(counts, height, width).sum())


def test_small_pictures_and_digits_stand_as_they_are(tab, shown, real_data):
    name = PETS[0].replace("/", "_")
    goto(tab, shown, entity(shown, name), ".large svg image")
    tab.wait_for_load_state("networkidle")
    found = pixels(tab, ".large svg")
    with Image.open(real_data("cifar10") / PETS[0]) as image:
        wanted = np.asarray(image.convert("RGB")).astype(int)
    side = min(found.shape[:2])
    left, top = (found.shape[1] - side) // 2, (found.shape[0] - side) // 2
    # In the middle of each of its pixels is that pixel's colour: nothing is smoothed.
    middles = ((np.arange(32) + 0.5) * side / 32).astype(int)
    assert np.abs(found[top + middles][:, left + middles] - wanted).max() <= 3
    goto(tab, shown, entity(shown, "digit.wav"), "img.spectrogram")
    length = float(tab.locator(".sound").get_attribute("data-length"))
    rows = shown.ask(f"select size_bytes from entities where entity_id = '{shown.ids['digit.wav']}'")
    assert length == pytest.approx((rows[0]["size_bytes"] - 44) / 16_000, abs=0.01)  # 8,000 samples of 2 bytes a second


def test_intervals_stand_over_their_seconds(tab, shown):
    goto(tab, shown, entity(shown, "call_1.wav"), ".spectrogram")
    band, rise = (tab.locator(each).first.bounding_box() for each in (".band", ".band .interval[title=rise]"))
    assert [round((rise["x"] - band["x"]) / band["width"] * 2, 2), round(rise["width"] / band["width"] * 2, 2)] == [
        0.3,
        0.5,
    ]


def test_a_video_jumps_to_a_frame_and_shows_what_is_there(tab, shown):
    goto(tab, shown, entity(shown, "balls.mp4"), ".film .screen svg")
    tab.locator(".track", has_text="orange").locator("button").first.click()
    tab.wait_for_function("() => document.querySelector('.film').dataset.frame === '12'")
    assert tab.locator(".film .over text").all_text_contents() == ["ball blue", "ball orange"]
    blue = tab.locator(".film .over .shape").first
    (row,) = shown.ask(f"select regions from current_opinions where subject_id = '{shown.ids['balls.mp4']}'")
    (wanted,) = [each for each in row["regions"] if each["frame_start"] == 12 and each["track_id"] == "blue"]
    assert [float(blue.get_attribute(name)) for name in ("x", "y")] == [wanted["x"], wanted["y"]]
    tab.locator(".film").focus()
    tab.keyboard.press(",")
    tab.wait_for_function("() => document.querySelector('.film').dataset.frame === '11'")
    assert tab.locator(".film .over text").all_text_contents() == ["ball blue"]


def test_what_moves_on_a_line_moves_and_every_kind_has_its_own_shape(tab, shown):
    track = {"label": "ball", "track_id": "line", "w": 20.0, "h": 20.0, "kind": "box"}
    held = {"label": "ball", "frame_start": 0, "frame_end": 20}
    regions = [
        track | {"x": 10.0, "y": 50.0, "frame_start": 0, "frame_end": 9, "attrs": {"interpolation": "linear"}},
        track | {"x": 110.0, "y": 70.0, "frame_start": 10, "frame_end": 20},
        held | {"kind": "ellipse", "x": 60.0, "y": 80.0, "w": 40.0, "h": 20.0},
        held | {"kind": "point", "points": [{"x": 200.0, "y": 90.0}]},
    ]
    with open_lake(shown.lake.config) as lake:
        rows = [{"entity_id": shown.ids["balls.mp4"], "regions": regions, "frame_w": 320, "frame_h": 240}]
        record_opinions(lake, rows, source="lines", question="balls", actor="human:liv")
    goto(tab, shown, entity(shown, "balls.mp4", no_actors='["human:bo"]'), ".film .screen svg")
    for frame, x, y in ((5, 60.0, 60.0), (12, 110.0, 70.0)):
        tab.evaluate(f"document.querySelector('video').currentTime = {frame + 0.3} / {RATE}")
        tab.wait_for_function(f"() => document.querySelector('.film').dataset.frame === '{frame}'")
        over = tab.locator(".film .over")
        assert [float(over.locator("rect").get_attribute(side)) for side in ("x", "y")] == [x, y]
    assert [over.locator("ellipse").get_attribute(each) for each in ("cx", "cy", "rx", "ry")] == [
        "80",
        "90",
        "20",
        "10",
    ]
    assert [over.locator("circle").get_attribute(each) for each in ("cx", "cy")] == ["200", "90"]


def test_an_array_is_a_map_with_its_ends(tab, shown):
    goto(tab, shown, entity(shown, "field_0.npy"), "canvas[data-drawn]")
    low, high = (float(each) for each in tab.locator(".scale span").all_inner_texts() if each)
    array = np.load(Path(shown.lake.root).parent / "drop" / "field_0.npy")
    assert [low, high] == pytest.approx([array.min(), array.max()], rel=1e-4)
    y, x = np.unravel_index(array.argmax(), array.shape)
    pixel = tab.evaluate(
        "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]",
        [int(x), int(y)],
    )
    assert pixel == [253, 231, 37, 255]


def test_spans_of_a_text_are_marked(tab, shown):
    goto(tab, shown, entity(shown, "note_0.txt"), "mark")
    texts = [each.split("\n")[0] for each in tab.locator("mark").all_inner_texts()]
    assert texts == ["Ada Lovelaceperson", "Analytical Enginemachine", "Londonplace", "1843year"]


def test_a_day_tells_what_was_believed_and_said_by_then(tab, shown):
    goto(tab, shown, entity(shown, "shape_003.png"), ".timeline li")
    assert tab.locator(".timeline .superseded, .timeline .outdated").count() == 1
    tab.get_by_label("what did we believe on").fill("2024-05-08")
    tab.locator(".timeline .not-known-yet").wait_for()
    assert tab.locator(".timeline .superseded, .timeline .outdated").count() == 0
    assert "day=2024-05-08" in tab.url
    believed = tab.locator("section", has=tab.get_by_role("heading", name="What is believed"))
    assert (
        "tie" in believed.locator("td").all_inner_texts()
    )  # three people said three things, and one of them looked again later
    believed.get_by_role("button", name="now").click()
    believed.locator("td", has_text="triangle").first.wait_for()


def test_disagreements_are_sorted_with_their_votes(tab, shown):
    goto(tab, shown, "#/disagreements", ".tile .votes")
    first = tab.locator(".tile").first
    sql = shown.post("disagreements")["sql"]
    wanted = shown.ask(sql)
    assert [row["share"] for row in wanted] == sorted(row["share"] for row in wanted)
    assert first.get_attribute("href").partition("id=")[2].startswith(wanted[0]["entity_id"])
    assert first.locator(".votes").inner_text().strip().count(" 1") == len(wanted[0]["votes"])
    goto(tab, shown, to("disagreements", question="cells"), ".tile .votes")
    rows = shown.post("disagreements", {"question": "cells"})["rows"]
    agreed = [row["agreed"] for row in rows]
    assert (agreed == sorted(agreed), 0 < agreed[0] < 1) == (True, True)
    assert f"agreed {agreed[0]:.4g}" in tab.locator(".tile").first.inner_text()


def test_a_cell_of_the_confusion_opens_exactly_its_samples(tab, shown):
    (evaluation,) = shown.ask("select distinct evaluation_id, dataset_id from gold.evaluations")
    goto(tab, shown, to("evaluation", id=evaluation["evaluation_id"]), ".confusion a")
    cell = tab.get_by_label("star taken for circle")
    count = int(cell.inner_text())
    wanted = shown.ask(f"""select m.entity_id from members m join current_opinions o on o.subject_id = m.entity_id
        and o.actor_id = '{MODEL}' where m.dataset_id = '{evaluation["dataset_id"]}' and m.split = 'test'
        and m.label = 'star'
        and o.label = 'circle'""")
    assert count == len(wanted) > 0
    cell.click()
    tab.locator(f"[data-total='{count}']").wait_for()
    tab.locator(".tile[href]").nth(count - 1).wait_for()
    shown_ids = tab.eval_on_selector_all(
        ".tile[href]", "all => all.map(each => /[?&]id=([0-9a-f]+)/.exec(each.href)[1])"
    )
    assert sorted(shown_ids) == sorted(row["entity_id"] for row in wanted)
    tab.go_back()
    tab.locator(".confusion a").first.wait_for()


def test_curves_are_those_of_scikit_learn(shown):
    metrics = pytest.importorskip("sklearn.metrics")
    (evaluation,) = shown.ask("select distinct evaluation_id, dataset_id from gold.evaluations")
    curves = shown.post("evaluation", {"id": evaluation["evaluation_id"]})["curves"]["test"]
    rows = shown.ask(f"""select m.label, o.probs from members m join current_opinions o on o.subject_id = m.entity_id
        and o.actor_id = '{MODEL}' where m.dataset_id = '{evaluation["dataset_id"]}' and m.split = 'test'""")
    assert {each["label"] for each in curves} == {"circle", "square", "star", "triangle"}
    for curve in curves:
        truth = [row["label"] == curve["label"] for row in rows]
        scores = [dict(row["probs"])[curve["label"]] for row in rows]
        assert (curve["support"], curve["area"]) == (
            sum(truth),
            pytest.approx(metrics.average_precision_score(truth, scores)),
        )
        precision, recall, _ = metrics.precision_recall_curve(truth, scores)
        known = {(round(r, 5), round(p, 5)) for r, p in zip(recall, precision, strict=True)}
        reached = next(at for at, point in enumerate(curve["points"]) if point[0] == 1)
        assert {(r, p) for r, p, _ in curve["points"][: reached + 1]} <= known


def test_a_refused_file_shows_its_bytes_and_an_expectation_what_it_expects(tab, shown):
    goto(tab, shown, "#/rejected", "table")
    row = tab.locator("tr", has_text="broken.jpg")
    row.get_by_role("button").click()
    data = (Path(shown.lake.root).parent / "drop" / "broken.jpg").read_bytes()
    lines = tab.locator("pre.hex").inner_text().splitlines()
    assert [lines[0][:16], lines[31][6:53]] == ["0000  ff d8 ff e", data[496:512].hex(" ")]
    assert "900 bytes, the first 512" in tab.locator("main").inner_text()
    goto(tab, shown, "#/quality", "table")
    texts = tab.locator("td").all_inner_texts()
    assert {"column width, min_value 32", "met", "not met"} <= set(texts)


def test_a_parent_stands_beside_what_was_made_of_it(tab, shown):
    goto(tab, shown, entity(shown, "smear_03.jpg"), ".large .shape")
    options = tab.get_by_label("beside it").locator("option")
    options.nth(1).wait_for(state="attached")
    tab.get_by_label("beside it").select_option(index=1)
    tab.locator(".sides figure:nth-child(2) svg image").wait_for()
    other = tab.locator(".sides figure:nth-child(2) a").first.get_attribute("href").partition("id=")[2]
    (row,) = shown.ask(f"select parent_id, operation from entities where entity_id = '{other}'")
    assert (row["parent_id"], row["operation"]) == (shown.ids["smear_03.jpg"], "flip@1")


def test_views_are_kept_by_name_and_a_question_completes_names(tab, shown):
    goto(tab, shown, "#/grid", ".tile[href]")
    tab.locator("#sql").click()
    tab.keyboard.type("select entity_id from entities_w")
    tab.locator(".offered [aria-selected=true]", has_text="entities_wide").wait_for()
    tab.keyboard.press("Tab")
    tab.keyboard.type(" where width = 48")
    tab.keyboard.press("Enter")
    tab.locator("[data-total='120']").wait_for()
    address = tab.evaluate("location.hash")
    tab.locator("summary", has_text="views").click()
    tab.get_by_label("name of this view").fill("small <b>ones</b>")
    tab.keyboard.press("Enter")
    tab.get_by_role("link", name="small <b>ones</b>").wait_for()
    goto(tab, shown, "#/grid", ".tile[href]")
    tab.locator("summary", has_text="views").click()
    tab.get_by_role("link", name="small <b>ones</b>").click()
    tab.locator("[data-total='120']").wait_for()
    assert tab.evaluate("location.hash") == address
    assert "error" in shown.post("views", {"keep": "x", "address": "javascript:alert(1)"})
    assert shown.post("views", {"forget": "small <b>ones</b>"}) == []


def test_what_is_switched_off_is_drawn_nowhere_and_the_address_says_so(tab, shown):
    goto(tab, shown, to("grid", sql=f"select '{shown.ids['smear_03.jpg']}' as entity_id"), ".tile .shape")
    tab.locator(".toggles button", has_text="model:finder@1").wait_for()
    before = tab.locator(".tile .shape").count()
    tab.locator(".toggles button", has_text="red").click()
    tab.wait_for_function("before => document.querySelectorAll('.tile .shape').length < before", arg=before)
    assert json.loads(tab.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('no_classes')")) == ["red"]
    tab.locator(".tile[href]").click()
    tab.locator(".large .shape").first.wait_for()
    assert "red" not in {each.strip().split(" ")[0] for each in tab.locator(".large .label").all_text_contents()}


def test_what_was_rejected_is_counted_whole_whatever_is_listed(tab, shown, monkeypatch):
    monkeypatch.setattr("lakehouse.viewing.pages.REJECTED_ROWS", 1)
    goto(tab, shown, "#/rejected", "[role=note]")
    assert tab.inner_text("[role=note]") == "and 1 older ones, which are counted above alone"
    assert tab.locator("main table tbody tr").count() == 1
    lines = tab.locator("main .values .row").all_inner_texts()
    counts = shown.ask("select rule, count(*) as n from silver.rejected group by rule order by n desc, rule")
    assert [each.split() for each in lines] == [[row["rule"], str(row["n"])] for row in counts] != []


def test_the_way_back_leads_to_where_one_was_in_the_grid(tab, shown):
    goto(tab, shown, "#/grid", ".tile[href]")
    tab.evaluate("document.querySelector('.grid').scrollTop = 900")
    tab.locator(".tile[href]").nth(12).click()
    tab.locator(".entity .timeline, .entity section").first.wait_for()
    tab.go_back()
    tab.wait_for_function("() => document.querySelector('.grid')?.scrollTop === 900")
