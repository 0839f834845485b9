"""Which page is shown how, and that it is complete before its picture is taken."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from PIL import Image

from lakehouse.lake import Lake
from lakehouse.query import fetch
from lakehouse.viewing.serve import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS = 128
"""Of a picture in the documents: a third of the bytes, and nobody sees it."""
WITHOUT_PATHS = """
home => {
    const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = all.nextNode(); node; node = all.nextNode()) node.data = node.data.replaceAll(home, "/data");
}
"""
"""Nobody needs to know where the lake lay that the pictures were made of."""
SAME_SIZE = "select entity_id, width, height, brightness from entities_wide where width = "


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture.

    Attributes:
        name: Of its file.
        address: Behind `#/`.
        ready: Selector of what has to be there.
        width: Of the window, px.
        height: Likewise.
        dark: Whether the person likes it dark.
        first: What is done before.
    """

    name: str
    address: str
    ready: str
    width: int = 1280
    height: int = 800
    dark: bool = False
    first: Callable[[Page], None] | None = None


def shots(lake: Lake, ids: dict[str, str]) -> list[Shot]:
    """Return all pictures, in the order of the documents."""
    newest, older = (
        str(row["dataset_id"]) for row in fetch(lake, "select dataset_id from gold.datasets order by built_at desc")
    )
    evaluation = str(fetch(lake, "select evaluation_id from gold.evaluations limit 1")[0]["evaluation_id"])
    smear = ids["smear_03.jpg"]

    def entity(name: str, **more: str) -> str:
        return f"entity?{urlencode({'id': ids[name]} | more)}"

    def grid(sql: str = "", **more: str) -> str:
        return f"grid?{urlencode({'sql': sql} | more)}"

    said = ".timeline li"
    cells = grid(f"{SAME_SIZE}320 and operation is null", no_questions='["outline"]')
    return [
        Shot("grid", cells, ".tile svg .shape"),
        Shot("grid_dark", grid(f"{SAME_SIZE}48"), ".tile svg image", dark=True),
        Shot("grid_narrow", cells, ".tile svg .shape", width=390, height=800),
        Shot(
            "filters",
            grid(f"{SAME_SIZE}48", filters=json.dumps({"brightness": {"low": 0.3, "high": 0.5}})),
            ".tile svg image",
        ),
        Shot("sql", grid("select entity_id from entities"), ".tile", first=_begin_a_name),
        Shot("entity", entity("smear_03.jpg"), said),
        Shot("entity_dark", entity("smear_04.jpg"), said, dark=True),
        Shot("entity_narrow", entity("smear_03.jpg"), said, width=390, height=800),
        Shot(
            "sides",
            entity("smear_02.jpg", sides="human:ann|model:finder@1", no_questions='["outline"]'),
            ".sides figure:nth-child(2) .shape",
        ),
        Shot("timeline", entity("shape_003.png", day="2024-05-08"), said, first=_down_to("What is believed")),
        Shot("sound", entity("call_1.wav"), ".sound[data-length='2']"),
        Shot("video", entity("balls.mp4"), ".film .screen svg", first=_jump),
        Shot("array", entity("field_0.npy"), "canvas[data-drawn]"),
        Shot("text", entity("note_0.txt"), "mark"),
        Shot("annotate", entity("smear_06.jpg"), ".annotate select", first=_draw),
        Shot("similar", grid(_similar(smear)), ".tile svg image"),
        Shot("disagreements", "disagreements", ".tile .votes"),
        Shot("datasets", "datasets", "main table"),
        Shot("dataset", f"dataset?name={newest}", "main table"),
        Shot("diff", f"diff?old={older}&new={newest}", ".tile svg image"),
        Shot("evaluation", f"evaluation?id={evaluation}", "table.confusion"),
        Shot("rejected", "rejected", "main table", first=_open_bytes),
        Shot("quality", "quality", "main table"),
        Shot("keys", cells, ".tile svg .shape", first=lambda page: page.keyboard.press("?")),
    ]


def take(lake: Lake, ids: dict[str, str], folder: Path, *, chromium: str, only: str, scratch: Path) -> Iterator[Path]:
    """Take the pictures and yield their files."""
    from playwright.sync_api import sync_playwright

    wanted = [each for each in shots(lake, ids) if only in each.name]
    with serving(lake, scratch=scratch, actor="human:eve") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--hide-scrollbars"])
        page = browser.new_page()
        page.goto(address)
        base = address.partition("?")[0]
        for shot in wanted:
            page.set_viewport_size({"width": shot.width, "height": shot.height})
            page.emulate_media(color_scheme="dark" if shot.dark else "light")
            page.goto("about:blank")
            page.goto(f"{base}#/{shot.address}")
            page.locator(shot.ready).first.wait_for()
            page.wait_for_load_state("networkidle")
            if shot.first is not None:
                shot.first(page)
            page.evaluate(WITHOUT_PATHS, str(lake.home).removesuffix("/lake"))
            page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
            file = folder / f"{shot.name}.png"
            file.write_bytes(_small(page.screenshot()))
            yield file
        browser.close()


def _small(png: bytes) -> bytes:
    place = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(place, "PNG", optimize=True)
    return place.getvalue()


def _similar(entity_id: str) -> str:
    return (
        "select other.entity_id, list_cosine_similarity(other.vector, mine.vector) as likeness\n"
        "from silver.embeddings other join silver.embeddings mine on mine.model = other.model\n"
        f"where mine.entity_id = '{entity_id}' order by likeness desc limit 60"
    )


def _begin_a_name(page: Page) -> None:
    page.locator("#sql").click()
    page.keyboard.press("End")
    page.keyboard.type("_wide where bri")
    page.locator(".offered li").first.wait_for()


def _down_to(heading: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("heading", name=heading).evaluate("each => each.scrollIntoView()")


def _jump(page: Page) -> None:
    # What it shows while it waits fades away only after it has what it waited for.
    page.locator(".film .track button").nth(1).click()
    page.locator(".film .screen svg .shape").nth(1).wait_for()
    page.wait_for_function("() => document.querySelector('video').readyState === 4")
    page.wait_for_timeout(800)


def _open_bytes(page: Page) -> None:
    page.locator("tr", has_text="broken").get_by_role("button").click()
    page.locator("pre.hex").wait_for()


def _draw(page: Page) -> None:
    page.locator(".annotate select").select_option("cells")
    page.get_by_role("button", name="white (2)").click()
    page.locator(".frame:focus").wait_for()
    page.keyboard.press("b")
    page.locator(".draft").wait_for()
    page.locator(".large").scroll_into_view_if_needed()
