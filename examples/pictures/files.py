"""Files that are drawn, played and written here: cells, shapes, tones, a film, fields of numbers, sentences."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 320, 240
"""Of a picture of cells, px."""
SIDE = 48
"""Of a picture of one shape, px."""
CELLS = {"red": (176, 62, 72), "white": (120, 96, 178), "platelet": (206, 148, 92)}
RADII = {"red": (17, 24), "white": (28, 36), "platelet": (6, 9)}
"""Least and greatest, px."""
SHAPES = ("circle", "square", "star", "triangle")
RATE, FRAMES, FILM = 24, 72, (240, 320)
"""Of the film: frames a second, frames, height and width in px."""
SAMPLES = 16_000
"""Of a recording, in a second."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a picture.

    Attributes:
        label: Its class.
        box: Left, top, width and height, px.
    """

    label: str
    box: tuple[float, float, float, float]

    def moved(self, dice: np.random.Generator, by: float) -> Cell:
        """Return the box as another person would draw it, each side off by about so many px."""
        x, y, w, h = (value + float(dice.normal(0, by)) for value in self.box)
        return Cell(self.label, (max(0.0, x), max(0.0, y), max(4.0, w), max(4.0, h)))

    def region(self, **more: object) -> dict[str, object]:
        """Return it as a region of an answer."""
        x, y, w, h = (round(value, 1) for value in self.box)
        return {"kind": "box", "label": self.label, "x": x, "y": y, "w": w, "h": h} | more


def cells(seed: int) -> tuple[bytes, list[Cell]]:
    """Return a JPEG of cells on a light ground, and where they are; EXIF turns every fifth."""
    dice = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH, HEIGHT), (236, 226, 220))
    draw = ImageDraw.Draw(image, "RGBA")
    found: list[Cell] = []
    for label, count in (("white", 1 + seed % 2), ("red", 7), ("platelet", 3)):
        for _ in range(count):
            radius = float(dice.uniform(*RADII[label]))
            for _ in range(40):
                x, y = dice.uniform(radius + 2, WIDTH - radius - 2), dice.uniform(radius + 2, HEIGHT - radius - 2)
                cell = Cell(label, (float(x - radius), float(y - radius), 2 * radius, 2 * radius))
                if all(_apart(cell, other) for other in found):
                    _paint(draw, cell)
                    found.append(cell)
                    break
    grain = dice.normal(0, 1.2, (HEIGHT, WIDTH, 1))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8))).astype(float) + grain
    exif = Image.Exif()
    exif[0x0112] = 6 if seed % 5 == 4 else 1
    place = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, "JPEG", quality=90, exif=exif)
    return place.getvalue(), found


def _apart(one: Cell, other: Cell) -> bool:
    (x, y, w, _), (left, top, wide, _) = one.box, other.box
    return bool(np.hypot(x + w / 2 - left - wide / 2, y + w / 2 - top - wide / 2) > 0.42 * (w + wide))


def _paint(draw: ImageDraw.ImageDraw, cell: Cell) -> None:
    x, y, w, h = cell.box
    colour = CELLS[cell.label]
    draw.ellipse((x, y, x + w, y + h), fill=(*colour, 210))
    inner = (
        tuple(min(255, part + 46) for part in colour) if cell.label == "red" else tuple(part // 2 for part in colour)
    )
    draw.ellipse((x + w * 0.3, y + h * 0.3, x + w * 0.72, y + h * 0.72), fill=(*inner, 190))


def shape(label: str, seed: int) -> bytes:
    """Return a PNG of one shape in some colour, size and turn."""
    dice = np.random.default_rng(seed)
    scale = 4
    ground, colour = (tuple(int(part) for part in dice.integers(low, low + 90, 3)) for low in (20, 160))
    image = Image.new("RGB", (SIDE * scale, SIDE * scale), ground)
    draw = ImageDraw.Draw(image)
    radius, (x, y) = float(dice.uniform(9, 19)) * scale, (dice.uniform(20, 28, 2) * scale).tolist()
    corners = {"circle": 60, "square": 4, "star": 10, "triangle": 3}[label]
    turn = float(dice.uniform(0, 2 * np.pi))
    angles = turn + np.arange(corners) * 2 * np.pi / corners
    radii = np.where(np.arange(corners) % 2, 0.45, 1.0) * radius if label == "star" else np.full(corners, radius)
    draw.polygon(
        [(float(x + r * np.cos(a)), float(y + r * np.sin(a))) for r, a in zip(radii, angles, strict=True)], fill=colour
    )
    place = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(place, "PNG")
    return place.getvalue()


def calls(seed: int) -> tuple[bytes, list[tuple[str, float, float]]]:
    """Return two seconds of sound, WAV, and its calls: name, start and end in s."""
    dice = np.random.default_rng(seed)
    times = np.arange(2 * SAMPLES) / SAMPLES
    samples = dice.normal(0, 0.004, times.size)
    said = [("rise", 0.2 + 0.1 * seed, 0.7 + 0.1 * seed), ("trill", 1.1 + 0.05 * seed, 1.6 + 0.05 * seed)]
    for name, start, end in said:
        at = times - start
        inside = (times >= start) & (times < end)
        phase = 2 * np.pi * ((900 * at + 2200 * at**2) if name == "rise" else 2600 * at) + (
            6 * np.sin(2 * np.pi * 22 * at) if name == "trill" else 0
        )
        samples += np.where(inside, 0.5 * np.sin(phase) * np.sin(np.pi * at.clip(0) / (end - start)), 0)
    place = io.BytesIO()
    with wave.open(place, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES)
        file.writeframes((samples.clip(-1, 1) * 32_000).astype("<i2").tobytes())
    return place.getvalue(), said


def film() -> tuple[bytes, list[dict[str, object]]]:
    """Return three seconds of two balls that cross, MP4, and their tracks: a region for each frame."""
    import av

    tracks: list[dict[str, object]] = []
    place = io.BytesIO()
    with av.open(place, "w", format="mp4") as file:
        stream: Any = file.add_stream("libx264", rate=RATE, options={"x264-params": "threads=1"})
        (stream.height, stream.width), stream.pix_fmt = FILM, "yuv420p"
        for number in range(FRAMES):
            image = Image.new("RGB", FILM[::-1], (38, 44, 52))
            draw = ImageDraw.Draw(image)
            draw.rectangle((0, 190, FILM[1], FILM[0]), fill=(70, 92, 64))
            share = number / (FRAMES - 1)
            balls = (("blue", 20 + 240 * share, 150 - 110 * np.sin(np.pi * share), 20, (90, 150, 235)),
                     ("orange", 280 - 240 * share, 168 - 60 * abs(np.sin(2 * np.pi * share)), 14,
                      (240, 150, 60)))  # fmt: skip
            for name, x, y, radius, colour in balls:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
                if name == "blue" or 12 <= number < 60:
                    box = {"x": round(x - radius, 1), "y": round(y - radius, 1), "w": 2.0 * radius, "h": 2.0 * radius}
                    tracks.append({"kind": "box", "label": "ball", "track_id": name, "frame_start": number,
                                   "frame_end": number} | box)  # fmt: skip
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        file.mux(stream.encode())
    return place.getvalue(), tracks


def field(seed: int) -> bytes:
    """Return 96 x 128 numbers, .npy: hills and valleys."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[0:96, 0:128]
    heights = np.zeros((96, 128), np.float32)
    for _ in range(7):
        (cx, cy), width = dice.uniform((0, 0), (128, 96)), dice.uniform(9, 26)
        heights += dice.normal(0, 120) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    place = io.BytesIO()
    np.save(place, heights)
    return place.getvalue()


SENTENCES = (
    ("Ada Lovelace wrote notes on the Analytical Engine in London in 1843.",
     (("person", "Ada Lovelace"), ("machine", "Analytical Engine"), ("place", "London"), ("year", "1843"))),
    ("In 1961 a storm petrel ringed on Skokholm was found alive in Cornwall.",
     (("year", "1961"), ("place", "Skokholm"), ("place", "Cornwall"))),
)  # fmt: skip
"""Texts and the words in them that are spans."""
