"""EXIF's orientation of an encoded picture."""

from __future__ import annotations

from PIL import ExifTags

from loaders.decoding.containers import Raw
from loaders.decoding.opening import UNLIMITED, open_picture
from loaders.errors import DecodeError

_JPEG, _EXIF = b"\xff\xd8\xff", b"Exif\x00\x00"


def orientation_of(raw: Raw) -> int:
    """Return EXIF's orientation, 1 to 8 (6: turn a quarter clockwise to see it upright); 1 if none is stated.

    What is stated wrongly, or cannot be read, is not stated: the lake (`exif_orientation`) sees it so, too.
    """
    if raw[:3] == _JPEG and bytes(raw).find(_EXIF) < 0:
        return 1
    try:
        with open_picture(raw, max_pixels=UNLIMITED, is_whole=False) as image:
            # Of a PNG without EXIF in front all would be decoded, to look behind its pixels.
            if "exif" not in image.info and image.format != "TIFF":
                return 1
            found = image.getexif().get(ExifTags.Base.Orientation)
    except DecodeError:  # which says so when it is decoded
        return 1
    except Exception:  # a damaged block: Pillow raises whatever it runs into
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
