"""Near-duplicates that are known: pictures encoded again, resized, cropped and brightened."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageEnhance

KINDS = ("quality 70", "90 %", "cropped 5 %", "brightness")


def planted(picture: Image.Image, kind: str, chance: random.Random) -> Image.Image:
    """Return a near-duplicate of a picture."""
    width, height = picture.size
    if kind == "quality 70":
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=70)
        return Image.open(encoded).convert("RGB")
    if kind == "90 %":
        return picture.resize((round(width * 0.9), round(height * 0.9)), Image.Resampling.LANCZOS)
    if kind == "cropped 5 %":
        inner = round(width * 0.95), round(height * 0.95)
        left, top = chance.randint(0, width - inner[0]), chance.randint(0, height - inner[1])
        return picture.crop((left, top, left + inner[0], top + inner[1]))
    return ImageEnhance.Brightness(picture).enhance(chance.choice([0.8, 1.2]))


def png(picture: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG."""
    found = io.BytesIO()
    picture.save(found, "PNG")
    return found.getvalue()
