"""Some 300 odd pictures, whole and broken, each with what a reader must make of it.

Everything is made from a seed, by Pillow, numpy and a few bytes.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.corpus import animation, encoded, picture

Array = npt.NDArray[np.generic]


class Odd(NamedTuple):
    """One file.

    Attributes:
        name: With the extension of its kind.
        data: Its bytes.
        pixels: What it holds; None: it must be refused.
    """

    name: str
    data: bytes
    pixels: Array | None


def by_pillow(data: bytes) -> Array:
    """The first frame as Pillow gives it in RGB."""
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def odd_pictures(seed: int = 7) -> list[Odd]:
    """Return the corpus; all names differ, and all bytes."""
    rng = np.random.default_rng(seed)
    found = [*_jpegs(rng), *_pngs(rng), *_gifs(rng), *_bmps(rng), *_tiffs(rng), *_webps(rng), *_rasters(rng),
             *_avifs(rng)]  # fmt: skip
    assert len({each.name for each in found}) == len(found)
    assert len({each.data for each in found}) == len(found)
    return found


def whole_of_each_kind(seed: int = 8) -> dict[str, bytes]:
    """Return one ordinary file of each of ten kinds, by extension, for mutations."""
    rng = np.random.default_rng(seed)
    small = picture(rng, width=21, height=17)
    return {
        "jpg": encoded(small, "JPEG", quality=80), "prog.jpg": encoded(small, "JPEG", progressive=True),
        "cmyk.jpg": encoded(small.convert("CMYK"), "JPEG"), "png": encoded(small, "PNG"),
        "p.png": encoded(small.convert("P"), "PNG"), "gif": animation(rng, 2), "bmp": encoded(small, "BMP"),
        "tif": encoded(small, "TIFF", compression="tiff_lzw"), "webp": encoded(small, "WEBP"),
        "ppm": encoded(small, "PPM"), "avif": encoded(small, "AVIF"),
        "16.png": encoded(Image.fromarray(np.asarray(small)[..., 0].astype(np.uint16) * 257), "PNG"),
    }  # fmt: skip


def _good(name: str, data: bytes) -> Odd:
    return Odd(name, data, by_pillow(data))


def _jpegs(rng: np.random.Generator) -> Iterator[Odd]:
    for mode in ("RGB", "L", "CMYK"):
        for progressive in (False, True):
            for size in ((1, 1), (8, 8), (33, 17), (40, 30)):
                raw = encoded(picture(rng, width=size[0], height=size[1], mode=mode), "JPEG", progressive=progressive)
                name = f"{mode}{'_progressive' if progressive else ''}_{size[0]}"
                yield _good(f"{name}.jpg", raw)
                if size != (40, 30):
                    continue
                whole = by_pillow(raw)
                for at, junk in enumerate((b"\x7f", bytes(150), b"\x12\x34\x56" * 40, b"\xff" * 5)):
                    yield Odd(f"{name}_junk{at}.jpg", raw[:-2] + junk + raw[-2:], whole)
                yield Odd(f"{name}_trailer.jpg", raw + b"appended" * 99, whole)
                yield Odd(f"{name}_appended_jpeg.jpg", raw + raw, whole)
                for percent in (30, 60, 90):
                    cut = raw[: len(raw) * percent // 100]
                    yield Odd(f"{name}_cut{percent}.jpg", cut, None)
                    yield Odd(f"{name}_cut{percent}_closed.jpg", cut + b"\xff\xd9",
                              by_pillow(cut + b"\xff\xd9") if progressive and _is_whole_scans(raw, cut) else None)
                yield Odd(f"{name}_no_end.jpg", raw[:-2], None)
    yield _good("rgb_kept.jpg", encoded(picture(rng), "JPEG", keep_rgb=True))
    sampling = {"444": 0x111111, "422": 0x211111, "420": 0x221111, "440": 0x121111, "411": 0x411111}
    for name, factor in sampling.items():
        for restarts in (0, 2):
            options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts]
            raw = cv2.imencode(".jpg", np.asarray(picture(rng)), options)[1].tobytes()
            yield _good(f"{name}_restarts{restarts}.jpg", raw)
    raw = encoded(picture(rng), "JPEG")
    thumbnail = encoded(picture(rng, width=8, height=8), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    yield Odd("thumbnail.jpg", raw[:2] + segment + raw[2:], by_pillow(raw))
    yield Odd("thumbnail_no_end.jpg", raw[:2] + segment + raw[2:-2], None)
    yield Odd("no_end_but_a_trailer_with_one.jpg", raw[:-2] + bytes(900) + b"\xff\xd9" + bytes(300), by_pillow(raw))
    yield Odd("bytes_of_fill.jpg", raw[:2] + b"\xff" * 7 + raw[2:], by_pillow(raw))
    yield Odd("broken_jfif.jpg", raw.replace(b"JFIF\0", b"JFXX\0", 1), by_pillow(raw))
    yield Odd("broken_exif.jpg", raw[:2] + b"\xff\xe1\0\x10Exif\0\0II*\0\xff\xff\xff\xff" + raw[2:], by_pillow(raw))
    twelve = bytearray(raw)
    twelve[raw.index(b"\xff\xc0") + 4] = 12
    yield Odd("claims_12_bits.jpg", bytes(twelve), None)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield _good("on_its_side.jpg", encoded(picture(rng), "JPEG", exif=exif))
    for scans in (3, 2, 1):
        raw = _in_scans(rng, scans)
        yield Odd(f"in_{scans}_scans.jpg", raw, by_pillow(raw) if scans == 3 else None)
        yield Odd(f"in_{scans}_scans_no_end.jpg", raw[:-2], None)
    two = encoded(picture(rng), "MPO", save_all=True, append_images=[picture(rng)])
    whole = by_pillow(two)
    second = two.rindex(b"\xff\xd8\xff")
    yield Odd("two_pictures.jpg", two, whole)
    yield Odd("second_gone.jpg", two[:second], whole)
    yield Odd("second_cut.jpg", two[: second + 400], whole)
    yield Odd("second_zeroed.jpg", two[:second] + bytes(len(two) - second), whole)


def _in_scans(rng: np.random.Generator, scans: int) -> bytes:
    """A JPEG of three components, each in a scan of its own, with its first scans alone."""
    parts = [encoded(picture(rng, width=24, height=16, mode="L"), "JPEG", quality=80) for _ in range(3)]
    first = parts[0]
    frame, scan = first.index(b"\xff\xc0"), first.index(b"\xff\xda")
    colours = b"\xff\xc0" + struct.pack(">HB", 17, 8) + first[frame + 5 : frame + 9] + b"\x03"
    colours += b"".join(bytes((number, 0x11, 0)) for number in (1, 2, 3))
    data = first[:frame] + colours + first[frame + 13 : scan]
    for number, part in enumerate(parts[:scans], 1):
        data += b"\xff\xda\0\x08\x01" + bytes((number, 0, 0, 63, 0)) + part[part.index(b"\xff\xda") + 10 : -2]
    return data + b"\xff\xd9"


def _is_whole_scans(raw: bytes, cut: bytes) -> bool:
    """Whether a cut fell between scans, which no decoder can tell from a picture with fewer scans."""
    return raw[len(cut) : len(cut) + 2] in (b"\xff\xda", b"\xff\xc4")


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(pixels: Array, bits: int, colour: int, *, interlaced: bool = False, before: bytes = b"") -> bytes:
    """A PNG from values (H, W) or (H, W, C), by hand: unfiltered rows, of any depth."""
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for y, x, dy, dx in passes:
        for row in pixels[y::dy, x::dx]:
            if row.size == 0:
                continue
            if bits == 16:
                rows += b"\0" + row.astype(">u2").tobytes()
            elif bits == 8:
                rows += b"\0" + row.astype(np.uint8).tobytes()
            else:
                text = "".join(f"{int(value):0{bits}b}" for value in row.ravel())
                text += "0" * (-len(text) % 8)
                rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))  # fmt: skip


def _pngs(rng: np.random.Generator) -> Iterator[Odd]:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for colour, all_bits in depths.items():
        for bits in all_bits:
            for interlaced in (False, True):
                for side in (1, 3, 13):
                    shape = (side, side + 2, channels[colour])[: 2 if channels[colour] == 1 else 3]
                    values = rng.integers(0, 1 << bits, shape)
                    palette = chunk(b"PLTE", rng.bytes(3 << bits)) if colour == 3 else b""
                    raw = png(values, bits, colour, interlaced=interlaced, before=palette)
                    name = f"colour{colour}_{bits}bit{'_interlaced' if interlaced else ''}_{side}.png"
                    yield Odd(name, raw, values.astype(np.uint16)) if bits == 16 else _good(name, raw)
    for filters in ("RGB", "RGBA", "LA", "L"):
        deep = rng.integers(0, 65_536, (19, 23, len(filters)), dtype=np.uint16).squeeze()
        smooth = np.cumsum(deep // 3000, axis=1, dtype=np.uint16)
        if len(filters) in (1, 3, 4):  # OpenCV chooses filters
            order = smooth if smooth.ndim == 2 else smooth[..., [2, 1, 0, 3][: smooth.shape[2]]]
            yield Odd(f"filtered_{filters}16.png", cv2.imencode(".png", order)[1].tobytes(), smooth)
    raw = encoded(picture(rng), "PNG")
    whole, start = by_pillow(raw), 33
    text = {
        "ztxt": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2 << 20))), "text": chunk(b"tEXt", b"k\0" + b"x" * 99),
        "itxt": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"y" * (2 << 20))),
        "profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2 << 20))), "short": chunk(b"pHYs", b"\0"),
        "unknown": chunk(b"juNk", b"abc"), "gamma": chunk(b"gAMA", struct.pack(">I", 1)),
        "broken_exif": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    }  # fmt: skip
    for kind in ("RGB", "P", "RGBA", "1"):
        base = encoded(picture(rng, mode=kind), "PNG")
        for name, extra in text.items():
            yield Odd(f"{kind}_{name}.png", base[:start] + extra + base[start:], by_pillow(base))
        yield Odd(f"{kind}_trailing.png", base + b"more", by_pillow(base))
        at = base.index(b"IDAT")
        yield Odd(f"{kind}_wrong_sum.png", base[: at + 9] + bytes([base[at + 9] ^ 1]) + base[at + 10 :], None)
        yield Odd(f"{kind}_cut.png", base[:-12], None)
        yield Odd(f"{kind}_cut_in_pixels.png", base[: at + (len(base) - at) // 2], None)
        yield Odd(f"{kind}_wrong_sum_of_text.png",
                  base[:start] + text["text"][:-1] + b"\0" + base[start:], None)  # fmt: skip
    yield Odd("must_not_be_passed_over.png", raw[:start] + chunk(b"ABcD", b"1") + raw[start:], whole)
    transparent = picture(rng, mode="P")
    yield _good("transparent_index.png", encoded(transparent, "PNG", transparency=3))
    yield _good("transparent_table.png", encoded(transparent, "PNG", transparency=bytes(range(256))))
    yield _good("transparent_colour.png", encoded(picture(rng), "PNG", transparency=(1, 2, 3)))
    deep = rng.integers(0, 65_536, (5, 7, 3))
    yield Odd("transparent_colour_16.png", png(deep, 16, 2, before=chunk(b"tRNS", bytes(6))), deep.astype(np.uint16))
    frames = [picture(rng, width=20, height=20) for _ in range(3)]
    moving = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield _good("moving.png", moving)
    yield Odd("moving_cut.png", moving[: len(moving) * 2 // 3], None)


def _gifs(rng: np.random.Generator) -> Iterator[Odd]:
    for frames in (1, 3):
        raw = animation(rng, frames)
        whole = by_pillow(raw)
        yield Odd(f"frames{frames}.gif", raw, whole)
        yield Odd(f"frames{frames}_no_end.gif", raw[:-1], whole)
        yield Odd(f"frames{frames}_trailing.gif", raw + b"more", whole)
        yield Odd(f"frames{frames}_junk_for_end.gif", raw[:-1] + b"\x99junk", whole)
        for percent in (20, 50, 95):
            yield Odd(f"frames{frames}_cut{percent}.gif", raw[: len(raw) * percent // 100], None)
    yield _good("grey.gif", encoded(picture(rng, mode="L"), "GIF"))
    yield _good("transparent.gif", encoded(picture(rng, mode="P"), "GIF", transparency=5))
    yield Odd("no_frame.gif", b"GIF89a\x10\0\x10\0\0\0\0;", None)


def _bmps(rng: np.random.Generator) -> Iterator[Odd]:
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        raw = encoded(picture(rng, width=13, height=9, mode=mode), "BMP")
        yield _good(f"{mode}.bmp", raw)
        yield Odd(f"{mode}_trailing.bmp", raw + b"more", by_pillow(raw))
        yield Odd(f"{mode}_cut.bmp", raw[:-5], None)
    rows = rng.integers(0, 32_768, (6, 8), dtype=np.uint16)
    yield _good("16bit.bmp", _bmp(8, 6, 16, rows.tobytes()))
    old = struct.pack("<IHHI", 26 + 8 * 6 * 3, 0, 0, 26) + struct.pack("<IHHHH", 12, 8, 6, 1, 24)
    yield _good("os2.bmp", b"BM" + old + rng.bytes(8 * 6 * 3))
    palette = rng.bytes(4 * 256)
    packed = b"".join(bytes([8, row]) + b"\0\0" for row in range(6)) + b"\0\1"
    yield _good("packed.bmp", _bmp(8, 6, 8, packed, palette=palette, compression=1))
    yield Odd("packed_cut.bmp", _bmp(8, 6, 8, packed[:9], palette=palette, compression=1), None)


def _bmp(width: int, height: int, bits: int, data: bytes, *, palette: bytes = b"", compression: int = 0) -> bytes:
    start = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def _tiffs(rng: np.random.Generator) -> Iterator[Odd]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            raw = encoded(picture(rng, width=15, height=11, mode=mode), "TIFF", compression=compression)
            yield _good(f"{mode}_{compression}.tif", raw)
    jpeg = encoded(picture(rng, width=32, height=32), "TIFF", compression="jpeg")
    yield _good("jpeg.tif", jpeg)
    deep = {
        "uint16": rng.integers(0, 65_536, (9, 7), dtype=np.uint16), "float32": rng.normal(0, 9, (9, 7)).astype("f4"),
        "int32": rng.integers(-(2**31), 2**31, (9, 7)).astype("i4"),
    }
    for name, values in deep.items():
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate"):
            yield Odd(f"{name}_{compression}.tif", encoded(Image.fromarray(values), "TIFF", compression=compression),
                      values)  # fmt: skip
    for big in (False, True):
        for kind, form in (("u1", 1), ("u2", 1), ("u4", 1), ("i1", 2), ("i2", 2), ("i4", 2), ("f4", 3)):
            raw_values = np.frombuffer(rng.bytes(5 * 4 * int(kind[1])), f"{'>' if big else '<'}{kind}").reshape(5, 4)
            values = np.nan_to_num(raw_values) if kind == "f4" else raw_values
            native = values.astype(kind)
            raw = _tiff(values.tobytes(), 4, 5, (8 * int(kind[1]),), form, 1, big=big)
            name = f"{kind}_{'big' if big else 'little'}.tif"
            if (kind, big) == ("u4", True):
                continue  # which Pillow does not know, and neither do we
            yield Odd(name, raw, _rgb(native)) if kind == "u1" else Odd(name, raw, native)
    yield Odd("double.tif", _tiff(bytes(8 * 20), 4, 5, (64,), 3, 1), None)
    for kind, form in (("u2", 1), ("i2", 2), ("u4", 1), ("i4", 2), ("f4", 3)):
        for big in (False, True):
            if (kind, big) != ("u4", True):
                colours = rng.integers(0, 30_000, (5, 4, 3)).astype(f"{'>' if big else '<'}{kind}")
                raw = _tiff(colours.tobytes(), 4, 5, (8 * colours.itemsize,) * 3, form, 2, big=big)
                whole = colours.astype(kind) if kind == "u2" else None
                yield Odd(f"colour_{kind}_{'big' if big else 'little'}.tif", raw, whole)
    colours = np.cumsum(rng.integers(0, 99, (70, 33, 3), dtype=np.uint16), axis=1, dtype=np.uint16)
    for name, way in {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}.items():
        for predictor in (1, 2):
            options = [cv2.IMWRITE_TIFF_COMPRESSION, way, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
            options += [cv2.IMWRITE_TIFF_ROWSPERSTRIP, 16]
            raw = cv2.imencode(".tif", colours[..., ::-1] + np.uint16(predictor), options)[1].tobytes()
            yield Odd(f"colour16_{name}_{predictor}.tif", raw, colours + np.uint16(predictor))
    raw = cv2.imencode(".tif", colours[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    yield Odd("colour16_cut.tif", raw[: len(raw) // 2], None)
    with_alpha = np.concatenate((colours, colours[..., :1]), axis=2)
    yield Odd("alpha16.tif", cv2.imencode(".tif", with_alpha[..., [2, 1, 0, 3]])[1].tobytes(), with_alpha)
    pages = [picture(rng, width=16, height=12, mode="L") for _ in range(3)]
    many = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    yield _good("pages.tif", many)
    for percent in (30, 60, 97):
        yield Odd(f"pages_cut{percent}.tif", many[: len(many) * percent // 100], None)
    for compression in (None, "tiff_lzw", "jpeg"):
        raw = encoded(picture(rng, width=40, height=40), "TIFF", compression=compression)
        with Image.open(io.BytesIO(raw)) as image:
            end = image.tag_v2[273][-1] + image.tag_v2[279][-1]
        moved = bytearray(raw)  # the directory in front, as cameras write it, so that a cut loses pixels alone
        directory = struct.unpack_from("<I", raw, 4)[0]
        if directory < image.tag_v2[273][0]:
            yield Odd(f"cut_{compression}.tif", bytes(moved[: end - 20]), None)


def _rgb(grey: Array) -> Array:
    return np.repeat(grey[..., None], 3, axis=2)


def _tiff(data: bytes, width: int, height: int, bits: tuple[int, ...], form: int, photometric: int, *,
          big: bool = False) -> bytes:
    """A TIFF of one strip: header, pixels, the bits of each sample, directory."""
    order, count = (">" if big else "<"), len(bits)
    photometric = 2 if count == 3 else photometric
    bits_at = 8 + len(data)
    inline = count == 1

    def short(tag: int, value: int) -> bytes:
        return struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)

    def long(tag: int, value: int) -> bytes:
        return struct.pack(f"{order}HHII", tag, 4, 1, value)

    entries = [short(256, width), short(257, height)]
    entries.append(short(258, bits[0]) if inline else struct.pack(f"{order}HHII", 258, 3, count, bits_at))
    entries += [short(259, 1), short(262, photometric), long(273, 8), short(277, count), short(278, height),
                long(279, len(data)), short(339, form)]  # fmt: skip
    tail = b"" if inline else struct.pack(f"{order}{count}H", *bits)
    head = (b"MM\0*" if big else b"II*\0") + struct.pack(f"{order}I", bits_at + len(tail))
    return head + data + tail + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def _webps(rng: np.random.Generator) -> Iterator[Odd]:
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            image = picture(rng, mode=mode)
            if mode == "RGBA":
                image.putalpha(picture(rng, mode="L"))
            raw = encoded(image, "WEBP", lossless=lossless)
            name = f"{mode}{'_lossless' if lossless else ''}"
            yield _good(f"{name}.webp", raw)
            yield Odd(f"{name}_trailing.webp", raw + b"more", by_pillow(raw))
            yield Odd(f"{name}_cut.webp", raw[: len(raw) // 2], None)
            yield Odd(f"{name}_cut_a_little.webp", raw[:-3], None)
    frames = [picture(rng, width=20, height=20) for _ in range(3)]
    moving = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield _good("moving.webp", moving)
    yield Odd("moving_cut.webp", moving[: len(moving) * 3 // 4], None)


def _rasters(rng: np.random.Generator) -> Iterator[Odd]:
    for kind, channels in ((5, 1), (6, 3)):
        for most in (1, 15, 100, 255):
            values = rng.integers(0, most + 1, (6, 5 * channels), dtype=np.uint8)
            yield _good(f"p{kind}_{most}.ppm", b"P%d\n# made\n5 6\n%d\n" % (kind, most) + values.tobytes())
            plain = b"P%d 5 6 %d\n" % (kind - 3, most) + b" ".join(b"%d" % value for value in values.ravel())
            yield _good(f"p{kind - 3}_{most}.ppm", plain + b"\n")
        for most in (256, 1023, 65_535):
            deep = rng.integers(0, most + 1, (6, 5, channels), dtype=np.uint16)
            deep = deep[..., 0] if channels == 1 else deep
            head = b"P%d\n5 6\n%d\n" % (kind, most)
            yield Odd(f"p{kind}_{most}.ppm", head + deep.astype(">u2").tobytes(), deep)
            yield Odd(f"p{kind}_{most}_cut.ppm", head + deep.astype(">u2").tobytes()[:-1], None)
            plain = b"P%d 5 6\n%d\n" % (kind - 3, most) + b" ".join(b"%d" % value for value in deep.ravel())
            yield Odd(f"p{kind - 3}_{most}.ppm", plain + b"\n", deep)
    bits = encoded(picture(rng, width=13, height=5, mode="1"), "PPM")
    yield _good("bits.pbm", bits)
    yield Odd("bits_cut.pbm", bits[:-3], None)
    yield Odd("cut.ppm", encoded(picture(rng), "PPM")[:-9], None)
    numbers = rng.normal(0, 3, (4, 5)).astype(np.float32)
    yield Odd("floats.pfm", b"Pf\n5 4\n-1.0\n" + numbers[::-1].tobytes(), numbers)


def _avifs(rng: np.random.Generator) -> Iterator[Odd]:
    for mode in ("RGB", "RGBA", "L"):
        raw = encoded(picture(rng, mode=mode), "AVIF")
        yield _good(f"{mode}.avif", raw)
        yield Odd(f"{mode}_cut.avif", raw[: len(raw) * 2 // 3], None)
        ten = bytearray(raw)
        at = raw.index(b"av1C") + 6
        ten[at] |= 0x40
        yield Odd(f"{mode}_claims_10_bits.avif", bytes(ten), None)
