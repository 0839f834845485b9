"""Contact sheets: labels are data, never markup."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from examples.demo.contact_sheet import COLUMNS, TILE_PX, Section, Tile, draw_sheet, html_sheet, thumbnail
from examples.demo.contact_sheet import write_contact_sheet as write


def picture(width: int = 8, height: int = 8, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), 128 if mode == "L" else None).save(stream, format="PNG")
    return stream.getvalue()


class Page(HTMLParser):
    """The elements with their attributes, and the texts, that a browser sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "猫'<b>"])
def test_labels_notes_and_titles_stay_text_in_html(text: str) -> None:
    plain = Page(html_sheet("plain", [Section("plain", [Tile(picture(), "plain", "plain", bad=True)])]))
    page = Page(html_sheet(text, [Section(text, [Tile(picture(), text, text, bad=True)])]))
    assert page.elements == plain.elements
    assert page.texts.count(text) == plain.texts.count("plain") == 5


def test_the_page_needs_no_other_file_and_shows_every_tile() -> None:
    page = html_sheet("sheet", [Section("one", [Tile(picture(), str(i)) for i in range(7)])])
    assert page.count('src="data:image/png;base64,') == 7
    assert "http" not in page


def test_png_holds_all_rows_of_tiles() -> None:
    few = draw_sheet([Section("one", [Tile(picture(), "a")] * COLUMNS)])
    more = draw_sheet([Section("one", [Tile(picture(), "a")] * (COLUMNS + 1))])
    assert more.width == few.width
    assert more.height - few.height > TILE_PX


@pytest.mark.parametrize("label", ["", "\n", "a" * 500, "\u202e猫 😀", "two\nlines"])
def test_any_label_can_be_drawn(label: str) -> None:
    assert draw_sheet([Section(label, [Tile(picture(), label, label)])]).mode == "RGB"


@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [((8, 8), "L", (72, 72)), ((640, 480), "RGB", (72, 54)), ((1, 500), "RGBA", (1, 72)), ((3, 2), "P", (72, 48))],
)
def test_thumbnails_keep_their_shape(size: tuple[int, int], mode: str, expected: tuple[int, int]) -> None:
    assert thumbnail(Tile(picture(*size, mode=mode), "x")).size == expected


def test_boxes_are_drawn_in_pixels_of_the_image() -> None:
    tile = Tile(picture(72, 72), "x", boxes=((10, 20, 30, 40),))
    drawn = thumbnail(tile)
    assert drawn.getpixel((10, 30)) == (0xB0, 0x00, 0x20)
    assert drawn.getpixel((40, 60)) == (0xB0, 0x00, 0x20)
    assert drawn.getpixel((25, 40)) == (128, 128, 128)


def test_both_files_are_written_and_the_sheet_without_tiles_too(tmp_path: Path) -> None:
    as_png, as_html = write(tmp_path / "deep/sheet", "title", [Section("none", [])])
    with Image.open(as_png) as image:
        image.load()
    assert as_html.read_text(encoding="utf-8").startswith("<!doctype html>")
