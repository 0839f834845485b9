"""The front end in a real browser: what stands at which pixel, what an address restores, and that no text runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lakehouse.opening import open_lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.sql.saving import drop_view, save_view
from lakehouse.viewing.export import export_pages
from lakehouse.viewing.widget import Page
from tests.viewing.browsing import opened_tab, pixels
from tests.viewing.conftest import BOX, HEIGHT, SECRET, WIDTH, Seen

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab
    from playwright.sync_api import Route


@pytest.fixture(scope="module")
def tab(seen: Seen) -> Iterator[Tab]:
    """A page of Chromium that failed if a script of data ran, something foreign was asked for, or a script broke."""
    with opened_tab(seen.address, ready=".tile .picture > *") as page:
        yield page


def opened(tab: Tab, seen: Seen, address: str, selector: str) -> None:
    tab.goto(f"{seen.base}/{address}")
    tab.wait_for_selector(selector)


def entity(seen: Seen, name: str, **more: str) -> str:
    return f"#/entity?id={seen.ids[name]}" + "".join(f"&{key}={value}" for key, value in more.items())


def drawn(orientation: int, scale: float) -> np.ndarray:
    """What Pillow draws: True where the outline of the box is."""
    image = Image.new("L", (WIDTH * 8, HEIGHT * 8))
    left, top = BOX["x"] * 8, BOX["y"] * 8
    ImageDraw.Draw(image).rectangle((left, top, left + BOX["w"] * 8, top + BOX["h"] * 8), outline=255)
    turned = {1: image, 6: image.transpose(Image.Transpose.ROTATE_270)}[orientation]
    size = (round(turned.width / 8 * scale), round(turned.height / 8 * scale))
    return np.asarray(turned.resize(size, Image.Resampling.BOX)) > 0


@pytest.mark.parametrize(("name", "orientation"), [("plain.jpg", 1), ("turned.jpg", 6)])
def test_boxes_are_at_the_right_pixels_also_of_turned_pictures(tab, seen, name, orientation):
    opened(tab, seen, entity(seen, name, no_actors=json.dumps(["human:eve"])), ".large svg rect.shape")
    tab.wait_for_timeout(300)
    found = pixels(tab, ".large svg")
    # The picture stands in the middle of its room: its dark ground and bright corner are grey, the room is not as dark.
    tall, wide = found.shape[:2]
    width, height = (WIDTH, HEIGHT) if orientation == 1 else (HEIGHT, WIDTH)
    scale = min(wide / width, tall / height)
    left, top = (wide - width * scale) / 2, (tall - height * scale) / 2
    # The colour of the class is vivid, everything else is grey.
    vivid = (found.max(axis=2) - found.min(axis=2)) > 60
    expected = drawn(orientation, scale)
    ys, xs = np.nonzero(expected)
    rows, columns = np.nonzero(vivid)
    inside = columns >= left - 2
    for axis, seen_at, wanted, offset in (("x", columns[inside], xs, left), ("y", rows[inside], ys, top)):
        # The label's text stands above the box; the ends of the outline are what is compared.
        assert abs(seen_at.max() - (wanted.max() + offset)) <= 2, axis
    lines = vivid[:, round(left + xs.min()) - 1 : round(left + xs.min()) + 2].any(axis=1)
    assert lines[round(top + ys.min()) : round(top + ys.max())].mean() > 0.95
    # The bright corner of the stored picture is at the upper left, or turned to the upper right.
    y, x = round(top + 4 * scale), round(left + (4 if orientation == 1 else width - 4) * scale)
    assert found[y, x].min() > 200


def test_a_histogram_filters_and_counts_as_sql_does_and_the_address_keeps_it(tab, seen):
    opened(tab, seen, "#/grid", "[data-column=media_type] .values button")
    tab.locator("[data-column=media_type] .values button", has_text="image/jpeg").click()
    tab.wait_for_selector("[data-total='2']")
    (row,) = seen.ask("select count(*) as n from entities where media_type = 'image/jpeg'")
    assert row["n"] == 2
    address = tab.url
    assert tab.locator(".tile[href]").count() == 2
    tab.locator(".tile[href]").first.click()
    tab.wait_for_selector("main.entity h2")
    tab.go_back()
    tab.wait_for_selector("[data-total='2']")
    assert tab.url == address
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("[data-total='2']")
    tab.wait_for_selector("[data-column=media_type] button[aria-pressed=true]")


def test_the_first_samples_stand_where_they_stay_and_views_of_the_lake_are_listed(tab, seen):
    save_view(seen.lake, "small", "select entity_id from entities order by size_bytes limit 2", doc="the smallest")
    held: list[Route] = []
    tab.goto("about:blank")
    tab.route("**/api/rows", lambda route: held.append(route))
    opened(tab, seen, "#/grid", ".tile[href] .picture > *")
    places = "[...document.querySelectorAll('.tile')].map(e => [e.getAttribute('href'), e.offsetLeft, e.offsetTop])"
    before = tab.evaluate(places)
    assert (len(before), tab.locator("[data-total]").count()) == (6, 0)
    tab.evaluate("document.querySelector('.tile').planted = 1")
    for route in held:
        route.continue_()
    tab.wait_for_selector("[data-total='6']")
    tab.unroute("**/api/rows")
    assert tab.evaluate(places) == before
    assert tab.evaluate("document.querySelector('.tile').planted") == 1
    tab.locator("summary", has_text="views").click()
    view = tab.locator("[data-saved] a")
    assert view.get_attribute("title") == "the smallest"
    view.click()
    tab.wait_for_selector("[data-total='2']")
    drop_view(seen.lake, "small")


def test_what_is_wrong_with_a_question_is_said_and_the_next_one_works(tab, seen):
    opened(tab, seen, "#/grid", "#sql")
    tab.fill("#sql", "select entity_id from entitles")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[role=alert]")
    assert "entities" in tab.inner_text("[role=alert]")
    tab.fill("#sql", "select entity_id, size_bytes from entities order by size_bytes limit 3")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[data-total='3']")
    assert tab.locator("[role=alert]").count() == 0


def test_a_filter_that_leaves_nothing_can_be_taken_away(tab, seen):
    filters = {"media_type": {"values": ["no/such"]}, "size_bytes": {"low": 1e9}}
    opened(tab, seen, f"#/grid?filters={quote(json.dumps(filters))}", "[data-total='0']")
    chosen = tab.locator("[data-column=media_type] .values button[aria-pressed=true]")
    chosen.wait_for()
    assert chosen.inner_text() == "no/such"
    chosen.click()
    tab.locator("[data-column=media_type]").wait_for(state="detached")
    tab.get_by_label("remove the filter of size_bytes").click()
    tab.wait_for_selector("[data-total='6']")


def test_what_cannot_be_shown_or_is_left_out_is_told(tab, seen):
    def broken(route: Route) -> None:
        route.fulfill(status=400, body=json.dumps({"error": "no room"}) if "/api/" in route.request.url else "no room")

    def noted(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"note": "without what was measured"})

    for pattern, handler in (("**/api/facets", broken), ("**/api/rows", noted), ("**/media/*", broken)):
        tab.route(pattern, handler)
    try:
        opened(tab, seen, "#/grid?order=size_bytes", ".facets .error")
        assert tab.inner_text(".facets .error") == "not counted: no room"
        tab.get_by_role("note").filter(has_text="without what was measured").wait_for()
        # The words of an answer that is an error are none of the text.
        opened(tab, seen, entity(seen, "words.txt"), "[role=note]")
        assert tab.inner_text("[role=note]") == "only its beginning is shown, of 17 bytes: no room"
        assert tab.inner_text("pre.words") == "a cat & a dog <b>"
    finally:
        tab.unroute_all(behavior="ignoreErrors")  # of what is still asked nobody waits for an answer


def test_texts_of_data_are_shown_as_text(tab, seen):
    opened(tab, seen, entity(seen, "plain.jpg"), ".timeline li")
    assert SECRET in tab.inner_text("main")
    opened(tab, seen, entity(seen, "words.txt"), "pre.words")
    assert "a cat & a dog <b>" in tab.inner_text("pre.words")
    opened(tab, seen, entity(seen, "evil.svg"), ".large svg image")
    assert tab.evaluate("window.planted") is None, "a drawing comes as pixels"


def test_sound_has_a_time_axis_of_its_length(tab, seen):
    opened(tab, seen, entity(seen, "tone.wav"), ".sound[data-length='1']")
    assert tab.locator(".axis span").all_inner_texts() == ["0.00 s", "0.25 s", "0.50 s", "0.75 s", "1.00 s"]
    tab.locator("img.spectrogram").click(position={"x": 10, "y": 10})


def test_regions_that_are_not_drawn_are_told(tab, seen, monkeypatch):
    monkeypatch.setattr("lakehouse.viewing.app.REGIONS_OF_ONE", 500)
    mask = {"kind": "mask", "label": "cat", "mask_encoding": "coco_rle", "mask_counts": "2111", "mask_h": 9000,
            "mask_w": 9000}  # fmt: skip
    row = {"entity_id": seen.ids["turned.jpg"], "regions": [mask, *[BOX] * 500]}
    with open_lake(seen.lake.config) as lake:  # that of the server is asked by its threads alone
        record_opinions(lake, [row], source="many", question="cells", actor="model:many@1")
    opened(tab, seen, entity(seen, "turned.jpg"), "[role=note]")
    told = tab.locator("[role=note]").all_inner_texts()
    assert told[0] == "1 more regions of model:many@1 are not drawn"
    assert "a mask of model:many@1 is not drawn: more than" in told[1]


def test_two_actors_stand_side_by_side(tab, seen):
    opened(tab, seen, entity(seen, "plain.jpg", sides="human:ann|model:finder@1"), ".sides figure")
    assert tab.locator(".sides figcaption").all_inner_texts() == ["human:ann", "model:finder@1"]
    assert tab.locator(".sides figure:nth-child(2) rect.shape").count() == 1
    assert tab.locator(".sides figure:nth-child(1) rect.shape").count() == 0


def test_keys_go_to_the_next_one_and_answer(tab, seen):
    opened(tab, seen, "#/grid?column=size_bytes", ".tile[href]")
    tab.locator(".tile[href]").first.click()
    tab.wait_for_selector("main.entity .timeline, main.entity h2")
    first = tab.url
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("at => location.href !== at", arg=first)
    opened(tab, seen, entity(seen, "turned.jpg"), ".annotate select")
    tab.locator(".annotate select").select_option("animal")
    tab.locator("main h2").first.click()
    tab.keyboard.press("1")
    tab.wait_for_selector("[role=status]")
    text = "select label from current_opinions where actor_id = 'human:eve' and question_id = 'animal'"
    assert [row["label"] for row in seen.ask(text)] == ["cat"]


def test_what_somebody_else_drew_is_accepted_by_a_key(tab, seen):
    opened(tab, seen, entity(seen, "turned.jpg"), ".annotate select")
    tab.locator(".annotate select").select_option("cells")
    tab.get_by_role("button", name="accept (y)").wait_for()
    tab.locator("main h2").first.click()
    tab.keyboard.press("y")
    tab.wait_for_selector("[role=status]")
    text = "select regions from current_opinions where actor_id = 'human:eve' and question_id = 'cells'"
    (row,) = seen.ask(f"{text} and subject_id = '{seen.ids['turned.jpg']}'")
    (region,) = row["regions"]
    assert {name: region[name] for name in BOX} == BOX | {"score": None}


def test_a_question_is_asked_with_its_order_and_again(tab, seen):
    opened(tab, seen, "#/grid", "#sql")
    tab.fill("#sql", "select entity_id, size_bytes from entities")
    tab.get_by_label("order by").fill("size_bytes desc")
    tab.get_by_role("button", name="ask").click()
    tab.wait_for_selector("[data-total='6']")
    assert "order=size_bytes+desc" in tab.url
    with tab.expect_response("**/api/forget"), tab.expect_response("**/api/rows"):
        tab.get_by_role("button", name="ask").click()
    tab.locator(".tile[href]").nth(5).wait_for()


def test_a_bar_filters_without_a_pointer(tab, seen):
    opened(tab, seen, "#/grid", "[data-column=size_bytes] .bar")
    tab.locator("[data-column=size_bytes] .bar[data-rows='1']").first.focus()
    tab.keyboard.press("Space")
    tab.wait_for_selector("[data-total='1']")


def test_a_drawn_box_arrives_with_actor_and_time(tab, seen):
    opened(tab, seen, entity(seen, "plain.jpg"), ".annotate select")
    tab.locator(".annotate select").select_option("cells")
    tab.get_by_role("button", name="dog (2)").click()
    tab.wait_for_selector("svg.drawing")
    matrix = tab.evaluate(
        "(() => { const m = document.querySelector('svg.drawing').getScreenCTM(); return [m.a, m.e, m.d, m.f] })()"
    )
    at = [(matrix[0] * x + matrix[1], matrix[2] * y + matrix[3]) for x, y in ((60, 10), (100, 50))]
    tab.mouse.move(*at[0])
    tab.mouse.down()
    tab.mouse.move(*at[1])
    tab.mouse.up()
    tab.wait_for_selector("[role=status]")
    text = "select regions, event_time from current_opinions where actor_id = 'human:eve' and value_kind = 'regions'"
    (row,) = seen.ask(f"{text} and subject_id = '{seen.ids['plain.jpg']}'")
    region = row["regions"][-1]
    assert [round(region[name]) for name in ("x", "y", "w", "h")] == [60, 10, 40, 40]
    assert (region["kind"], region["label"], row["event_time"] is not None) == ("box", "dog", True)


def test_a_narrow_window_and_the_dark_need_no_scrolling_sideways(tab, seen):
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.emulate_media(color_scheme="dark")
    try:
        for address, selector in (("#/grid", ".tile"), (entity(seen, "plain.jpg"), ".timeline"), ("#/rejected", "h1")):
            opened(tab, seen, address, selector)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.emulate_media(color_scheme="light")


def test_static_pages_show_the_same_without_a_server(tab, seen, tmp_path: Path):
    with open_lake(seen.lake.config) as lake:
        told = export_pages(lake, tmp_path / "pages")
    assert "6 samples" in told
    page = tab.context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "pages" / "index.html").as_uri())
    page.wait_for_selector("[data-total='6']")
    page.locator("[data-column=media_type] .values button", has_text="image/jpeg").click()
    page.wait_for_selector("[data-total='2']")
    page.goto((tmp_path / "pages" / "index.html").as_uri() + entity(seen, "plain.jpg"))
    page.wait_for_selector(".large svg rect.shape")
    page.wait_for_selector(".timeline li")
    assert SECRET in page.inner_text("main")
    assert page.evaluate("window.planted") is None
    inside = ((tmp_path / "pages").as_uri(), "data:")
    outside = [url for url in asked if not url.startswith(inside)]
    page.close()
    assert outside == []


def test_static_pages_order_decimals_as_numbers_and_tell_what_they_leave_out(tab, seen, tmp_path: Path):
    ids = ", ".join(f"('{seen.ids[name]}', {size})" for name, size in (("plain.jpg", 9), ("turned.jpg", 10)))
    sql = f"select id as entity_id, cast(size as decimal(9, 2)) as big from (values {ids}) as said(id, size)"
    with open_lake(seen.lake.config) as lake:
        export_pages(lake, tmp_path / "pages", sql=f"{sql} union all select 'none', null")
    page = tab.context.new_page()
    page.goto((tmp_path / "pages" / "index.html").as_uri() + "#/grid?column=big")
    page.locator(".tile[href]").nth(1).wait_for()
    assert [each.split("\n")[-1] for each in page.locator(".tile .caption").all_inner_texts()] == ["9.00", "10.00"]
    assert page.inner_text("[role=note]") == "1 rows left out: no entity `none` in this lake"
    page.close()


def test_one_file_shows_all_in_the_frame_of_a_notebook(tab, seen, tmp_path: Path):
    with open_lake(seen.lake.config) as lake:
        export_pages(lake, tmp_path / "zoo.html", sql=f"select '{seen.ids['plain.jpg']}' as entity_id, 1 as one")
    shown = Page((tmp_path / "zoo.html").read_text())._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>notebook</title>{shown}")
    page = tab.context.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator(".tile[href] svg rect.shape").first.wait_for()
    frame.locator(".tile[href]").first.click()
    frame.locator(".timeline li").first.wait_for()
    assert SECRET in frame.locator("main").inner_text()
    assert page.evaluate("window.planted") is None
    page.close()
