"""Small pictures of entities and what must be known to draw upon them: made on demand, kept by the content's hash."""

from __future__ import annotations

import io
import json
import math
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lakehouse.config import Config
from lakehouse.derived.identity import CLIP, WINDOW
from lakehouse.errors import PetrelError, one_line
from lakehouse.media.kinds.registry import judges_of
from lakehouse.media.plain_views import ArrayView
from lakehouse.media.previews import as_png, heat, preview_array, preview_audio, waveform
from lakehouse.media.sniff import sniff
from lakehouse.media.view import AudioView, ImageView
from lakehouse.viewing.drawings import SVG_TYPE, drawn
from lakehouse.viewing.places import Place, Places
from loaders.decoding.pictures import decode_native
from loaders.errors import DecodeError

THUMBNAIL_PX = 256
"""Longer side of a small picture."""
SHARP_PX = 96
"""Pictures no larger than this are kept losslessly: every pixel counts."""
DRAWING, DRAWING_PX = "drawing", 1024
"""Kind of what is drawn of an SVG, and the longer side of its picture at most."""
DRAWING_PIXELS = 16 << 20
LARGEST_BYTES = 256 << 20
"""Files beyond are not read for a small picture."""
ON_A_SHEET = 16
"""Entities of a window that its picture has."""
MOST_PARTS = 200
"""Entities of a window that are told by id: a preview is a header, of which browsers take 256 KiB."""
CHARACTERS = 200
"""Of each text of a window."""
GROUND = (32, 32, 32)
AT_ONCE = 4
"""Pictures that are decoded at the same time: what they take in memory is bounded."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of an entity in a grid.

    Attributes:
        kind: image, drawing, audio, video, array, text, window, or "" for bytes that nothing here shows.
        media_type: What the bytes are.
        size_bytes: How many.
        width: Of the stored picture, px, before any EXIF rotation; 0 of all else.
        height: Likewise.
        orientation: EXIF orientation, 1 to 8; 1 where none is stated.
        seconds: Length of sound; None of all else.
        text: How a text begins; "" of all else.
        problem: Why there is nothing to see; "" where there is something.
        note: What is missing in its picture; "" where it has all.
        picture_type: Media type of the small picture; "" without one.
        low: Value of an array that is black in its picture; None of a curve, and of all else.
        high: Value that is white.
        shape: Axes of an array, as NumPy counts them; () of all else. Of more than two the first place is shown.
        parts: Of a window the ids of its entities, in order; its picture has the first of them, line by line.
        left_out: Entities of a window that are not among `parts`.
    """

    kind: str
    media_type: str
    size_bytes: int
    width: int = 0
    height: int = 0
    orientation: int = 1
    seconds: float | None = None
    text: str = ""
    problem: str = ""
    note: str = ""
    picture_type: str = ""
    low: float | None = None
    high: float | None = None
    shape: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    left_out: int = 0


class Previews:
    """Makes and keeps previews in a folder, which goes when the lake is closed.

    Args:
        config: Of the lake: what counts as hostile.
        places: Where bytes are.
        folder: Where they are kept.
    """

    def __init__(self, config: Config, places: Places, folder: Path) -> None:
        self._judges, self._places, self._folder = judges_of(config), places, folder
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        folder.mkdir(parents=True, exist_ok=True)
        places.gone.tell(self._forget)

    def of(self, entity_id: str) -> tuple[Preview, bytes]:
        """Return the preview of an entity and its small picture, PNG or JPEG; b"" without one.

        What cannot be shown is a preview with a problem.

        Raises:
            EntityNotFoundError: If there is no such entity.
        """
        place = self._places.of(entity_id)
        kept = self._folder / entity_id
        try:
            said, _, picture = kept.read_bytes().partition(b"\n")
            facts = json.loads(said)
            return Preview(**facts | {name: tuple(facts[name]) for name in ("shape", "parts")}), picture
        except FileNotFoundError:
            pass
        if place.operation == WINDOW:
            preview, picture = self._sheet(place)  # not in a slot: each of its parts takes one
        else:
            with self._slots:
                preview, picture = self._make(place)
        beside = kept.with_suffix(f".{threading.get_ident()}")
        beside.write_bytes(json.dumps(asdict(preview)).encode() + b"\n" + picture)
        os.replace(beside, kept)
        if self._places.of(entity_id) != place:  # its bytes went while they were read
            kept.unlink(missing_ok=True)
            return self.of(entity_id)
        return preview, picture

    def _forget(self, entity_ids: frozenset[str]) -> None:
        for each in entity_ids:
            (self._folder / each).unlink(missing_ok=True)

    def _make(self, place: Place) -> tuple[Preview, bytes]:
        kind = self._judges.of_type(place.media_type)
        name = "" if kind is None else kind.name
        blank = Preview(kind=name, media_type=place.media_type, size_bytes=place.size_bytes)
        if place.size_bytes > LARGEST_BYTES:
            return _with(blank, problem=f"{place.size_bytes:,} bytes: too large for a small picture"), b""
        try:
            data = self._places.read(place)
            if kind is None and sniff(data) == SVG_TYPE:
                return _drawing(blank, data)
            if kind is None or kind.preview is None:
                return blank, b""
            view = self._judges.view(data, place.media_type)
            if isinstance(view, ImageView):
                facts = view.facts
                small, of = _small(view.picture, lossless=max(facts.width_px, facts.height_px) <= SHARP_PX)
                sides = {"width": facts.width_px, "height": facts.height_px, "orientation": facts.exif_orientation or 1}
                return _with(blank, picture_type=of, **sides), small
            if isinstance(view, ArrayView):
                blank = _with(blank, shape=view.array.shape)
            if isinstance(view, ArrayView) and place.operation == CLIP:
                shown = as_png(Image.fromarray(view.array[0]))
            elif kind.preview is preview_array and isinstance(view, ArrayView):
                shown, ends = heat(view.array)
                blank = _with(blank, low=ends and ends[0], high=ends and ends[1])
            elif kind.preview is preview_audio and isinstance(view, AudioView):
                shown = waveform(view)
            else:
                shown = kind.preview(data, place.media_type, self._judges.limits[kind.name])
        except (PetrelError, OSError) as error:
            return _with(blank, problem=one_line(error, limit=160)), b""
        if not shown.startswith(b"\x89PNG"):
            return _with(blank, text=shown.decode(errors="replace")), b""
        seconds = view.facts.duration_ms / 1000 if isinstance(view, AudioView) else None
        with Image.open(io.BytesIO(shown)) as picture:
            width, height = picture.size
        return _with(blank, picture_type="image/png", width=width, height=height, seconds=seconds), shown


    def _sheet(self, place: Place) -> tuple[Preview, bytes]:
        """Return the pictures of the first entities of a window beside one another; of texts, how they begin."""
        blank = Preview(
            kind=WINDOW, media_type=place.media_type, size_bytes=place.size_bytes, parts=place.parts[:MOST_PARTS],
            left_out=max(0, len(place.parts) - MOST_PARTS),
        )  # fmt: skip
        pictures: list[Image.Image] = []
        words: list[str] = []
        problem = ""
        for each in place.parts[:ON_A_SHEET]:
            preview, picture = self.of(each)
            problem = problem or preview.problem
            if picture:
                with Image.open(io.BytesIO(picture)) as opened:
                    pictures.append(opened.convert("RGB"))
            elif preview.text:
                words.append(preview.text[:CHARACTERS])
        if not pictures:
            problem = "" if words else problem or "nothing of it can be shown"
            return _with(blank, text="\n".join(words), problem=problem), b""
        columns = math.ceil(math.sqrt(len(pictures)))
        side = 2 * THUMBNAIL_PX // columns
        sheet = Image.new("RGB", (columns * side, math.ceil(len(pictures) / columns) * side), GROUND)
        for at, small in enumerate(pictures):
            small.thumbnail((side - 2, side - 2), Image.Resampling.BOX)
            sheet.paste(small, (at % columns * side, at // columns * side))
        shown = as_png(sheet)
        return _with(blank, picture_type="image/png", width=sheet.width, height=sheet.height), shown


def full_picture(data: bytes, config: Config) -> bytes:
    """Return the first frame of a picture as a PNG with all its pixels, as they are stored: for what no browser shows.

    Raises:
        DecodeError: If it is damaged, or has more pixels than the limit.
    """
    pixels = decode_native(data, max_pixels=config.images.max_pixels)
    if pixels.dtype != np.uint8:
        numbers = np.nan_to_num(pixels.astype(np.float64))
        low, high = float(numbers.min()), float(numbers.max())
        pixels = ((numbers - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    place = io.BytesIO()
    # One channel has no axis in Pillow; a picture of one pixel keeps both of its own.
    Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(
        place, "PNG", compress_level=1
    )
    return place.getvalue()


def _drawing(blank: Preview, data: bytes) -> tuple[Preview, bytes]:
    picture, note = drawn(data)
    with Image.open(io.BytesIO(picture)) as opened:
        width, height = opened.size
        if width * height > DRAWING_PIXELS:
            raise DecodeError(f"an SVG of {width:,} x {height:,} px: {DRAWING_PIXELS:,} pixels at most are shown")
        small = opened.convert("RGBA")
    # On white, as drawings are meant where they say nothing; larger than other small pictures: there is no other one.
    ground = Image.new("RGBA", small.size, "white")
    ground.alpha_composite(small)
    ground.thumbnail((DRAWING_PX, DRAWING_PX), Image.Resampling.BOX)
    sides = {"width": width, "height": height, "note": note, "kind": DRAWING}
    return _with(blank, picture_type="image/png", **sides), as_png(ground.convert("RGB"))


def _small(picture: Image.Image, *, lossless: bool) -> tuple[bytes, str]:
    small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    place = io.BytesIO()
    small.save(place, "PNG", compress_level=1) if lossless else small.save(place, "JPEG", quality=82)
    return place.getvalue(), "image/png" if lossless else "image/jpeg"


def _with(preview: Preview, **changes: object) -> Preview:
    return Preview(**asdict(preview) | changes)
