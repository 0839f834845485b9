"""Contact sheets: many small images with a line of text below each, as one PNG and as one HTML file.

Labels come from outside: in HTML they are escaped, and the images are inside the file, so it shows anywhere.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TILE_PX = 72
"""Longer side of an image on the sheet."""
CAPTION_PX = 26
"""Height of the two lines below it."""
GAP_PX = 8
COLUMNS = 12
PAPER, INK, GOOD, BAD = "#ffffff", "#222222", "#222222", "#b00020"

STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #222; background: #fff }
section > div { display: flex; flex-wrap: wrap; gap: 12px }
figure { margin: 0; width: 96px; text-align: center; overflow-wrap: anywhere }
img { height: 72px; max-width: 96px; object-fit: contain; image-rendering: pixelated; border: 1px solid #ddd }
figcaption { font-size: 11px }
.bad figcaption { color: #b00020 }
"""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One image on the sheet.

    Attributes:
        content: The encoded image.
        label: First line below it.
        note: Second line, smaller matters.
        bad: Whether to mark it: a wrong prediction.
        boxes: Boxes to draw: x, y, width, height in pixels of the image.
    """

    content: bytes
    label: str
    note: str = ""
    bad: bool = False
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its tiles."""

    title: str
    tiles: Sequence[Tile]


def write_contact_sheet(stem: Path, title: str, sections: Sequence[Section]) -> tuple[Path, Path]:
    """Write `<stem>.png` and `<stem>.html` and return their paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    as_png, as_html = stem.with_suffix(".png"), stem.with_suffix(".html")
    draw_sheet(sections).save(as_png)
    as_html.write_text(html_sheet(title, sections), encoding="utf-8")
    return as_png, as_html


def html_sheet(title: str, sections: Sequence[Section]) -> str:
    """Return the sheet as one HTML page; every text is escaped."""
    parts = [
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    for section in sections:
        parts.append(f"<section><h2>{html.escape(section.title)}</h2><div>")
        parts += [_figure(tile) for tile in section.tiles]
        parts.append("</div></section>")
    return "\n".join([*parts, "</body></html>\n"])


def draw_sheet(sections: Sequence[Section]) -> Image.Image:
    """Return the sheet as one RGB image."""
    font = ImageFont.load_default(size=11)
    heading = ImageFont.load_default(size=15)
    step_x, step_y = TILE_PX + GAP_PX, TILE_PX + CAPTION_PX + GAP_PX
    rows = [-(-len(section.tiles) // COLUMNS) for section in sections]
    height = GAP_PX + sum(28 + count * step_y for count in rows)
    sheet = Image.new("RGB", (GAP_PX + COLUMNS * step_x, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP_PX
    for section, count in zip(sections, rows, strict=True):
        draw.text((GAP_PX, top), section.title, fill=INK, font=heading)
        top += 28
        for place, tile in enumerate(section.tiles):
            x, y = GAP_PX + place % COLUMNS * step_x, top + place // COLUMNS * step_y
            picture = thumbnail(tile)
            sheet.paste(picture, (x + (TILE_PX - picture.width) // 2, y + (TILE_PX - picture.height) // 2))
            colour = BAD if tile.bad else GOOD
            for line, text in enumerate((tile.label, tile.note)):
                draw.text((x, y + TILE_PX + 13 * line), _fitted(draw, text, font), fill=colour, font=font)
        top += count * step_y
    return sheet


def thumbnail(tile: Tile) -> Image.Image:
    """Return the tile's image at most `TILE_PX` long, its boxes drawn in; tiny images grow without blur."""
    with Image.open(io.BytesIO(tile.content)) as image:
        picture = image.convert("RGB")
    scale = TILE_PX / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for x, y, width, height in tile.boxes:
        draw.rectangle((x * scale, y * scale, (x + width) * scale, (y + height) * scale), outline=BAD)
    return picture


def _figure(tile: Tile) -> str:
    stream = io.BytesIO()
    thumbnail(tile).save(stream, format="PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    note = f"<br>{html.escape(tile.note)}" if tile.note else ""
    kind = ' class="bad"' if tile.bad else ""
    return (
        f'<figure{kind}><img alt="{html.escape(tile.label)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(tile.label)}{note}</figcaption></figure>"
    )


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    # Line ends would reach into the next tile.
    text = " ".join(text.split())
    while text and draw.textlength(text, font=font) > TILE_PX + GAP_PX - 2:
        text = text[:-2] + "…" if len(text) > 2 else ""
    return text
