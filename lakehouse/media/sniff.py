"""What bytes are, by their first bytes, and what a file name claims them to be."""

from __future__ import annotations

import codecs
import importlib.util
import mmap
import re
from collections.abc import Collection
from typing import TypeAlias

Data: TypeAlias = bytes | mmap.mmap
"""A whole file, in memory or mapped."""

NPZ = "application/x-npz"

HEAD_BYTES = 4096
"""How much is looked at to tell text from anything else."""

PICTURES = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/x-portable-anymap": "PPM",
    "image/avif": "AVIF",
} | ({"image/heic": "HEIF"} if importlib.util.find_spec("pillow_heif") else {})
"""The image types that are decoded, and the name that the reader has for their format."""
_PICTURE_TYPES = {name: media_type for media_type, name in PICTURES.items()}

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"\x93NUMPY", "application/x-npy"),
    (b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (b"\x7fELF", "application/x-executable"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"LASF", "application/x-pointcloud.las"),
)
_POINTS = (
    (re.compile(rb"ply\r?\n(comment[^\n]*\n|obj_info[^\n]*\n)*format "), "application/x-pointcloud.ply"),
    (re.compile(rb"(#[^\n]*\n)*VERSION [.0-9]+\r?\nFIELDS "), "application/x-pointcloud.pcd"),
)
_DICOM_AT = 128
"""Bytes before the mark of a DICOM file (PS3.10, 7.1)."""

_RIFF = {b"WAVE": "audio/wav"}
_VIDEO_TYPES = {
    "mp4": "video/mp4", "mov": "video/quicktime", "matroska": "video/x-matroska", "webm": "video/webm",
    "avi": "video/x-msvideo",
}  # fmt: skip
_FORM = {b"AIFF": "audio/aiff", b"AIFC": "audio/aiff"}
_BRANDS = {
    b"heic": "image/heic", b"heix": "image/heic", b"hevc": "image/heic", b"mif1": "image/heic", b"msf1": "image/heic",
    b"M4A ": "audio/mp4", b"M4B ": "audio/mp4",
}
_HTML = re.compile(rb"<(!doctype html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(rb"<(\?xml|svg)\b", re.IGNORECASE)
_SVG = re.compile(rb"<svg\b", re.IGNORECASE)
_NOT_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")

_EXTENSIONS = {
    "image/jpeg": "jpg jpeg jpe jfif mpo",
    "image/png": "png apng",
    "image/gif": "gif",
    "image/bmp": "bmp dib",
    "image/webp": "webp",
    "image/tiff": "tif tiff",
    "image/x-portable-anymap": "ppm pgm pbm pnm pfm",
    "image/avif": "avif avifs",
    "image/heic": "heic heif",
    "image/jxl": "jxl",
    "image/jp2": "jp2 j2k",
    "image/svg+xml": "svg",
    "image/x-icon": "ico",
    "image/vnd.adobe.photoshop": "psd",
    "audio/wav": "wav wave",
    "audio/flac": "flac",
    "audio/ogg": "ogg oga opus",
    "audio/mpeg": "mp3",
    "audio/aiff": "aif aiff",
    "audio/mp4": "m4a m4b",
    "video/mp4": "mp4 m4v",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/mpeg": "mpg mpeg",
    "video/x-flv": "flv",
    "text/html": "html htm",
    "text/plain": "txt csv tsv md log",
    "application/json": "json jsonl ndjson",
    "text/xml": "xml",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/gzip": "gz tgz",
    "application/vnd.apache.parquet": "parquet",
    "application/x-npy": "npy",
    "application/x-npz": "npz",
    "application/dicom": "dcm dicom",
    "application/x-pointcloud.ply": "ply",
    "application/x-pointcloud.pcd": "pcd",
    "application/x-pointcloud.las": "las laz",
}
_CLAIMS = {extension: media for media, extensions in _EXTENSIONS.items() for extension in extensions.split()}


def extension_of(media_type: str) -> str:
    """Return the ending, without a dot, of names of files of a media type; `bin` of one that we know none for."""
    return _EXTENSIONS.get(media_type, "bin").partition(" ")[0]


def sniff(data: Data) -> str | None:
    """Return the media type that the first bytes show; None for bytes of no kind we know.

    Only the container is named: that the rest fits is for the decoder to say.
    """
    # Here, for what only asks what names claim does not need the decoders.
    from loaders.decoding.verdict import container_of, format_of

    head = bytes(data[:HEAD_BYTES])
    picture = format_of(head)
    if picture is not None:
        return _PICTURE_TYPES[picture]
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return NPZ if media_type == "application/zip" and _holds_array(head) else media_type
    if head[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return "application/dicom"
    for pattern, media_type in _POINTS:
        if pattern.match(head):
            return media_type
    found = _boxed(head)
    if found is None and (container := container_of(head)) is not None:
        return _VIDEO_TYPES[container]
    return found or _text(head)


def claimed(name: str) -> str | None:
    """Return the media type that a file name's extension stands for; None without one that we know."""
    stem, dot, extension = name.rpartition(".")
    return _CLAIMS.get(extension.lower()) if dot and stem else None


def sniff_among(types: Collection[str], data: Data) -> str | None:
    """Return what `sniff` finds if it is one of these media types, else None."""
    found = sniff(data)
    return found if found in types else None


def claimed_among(types: Collection[str], name: str) -> str | None:
    """Return what `claimed` finds if it is one of these media types, else None."""
    found = claimed(name)
    return found if found in types else None


def is_start_of(data: Data, media_type: str) -> bool:
    """Whether `data` is nothing but the beginning of the signature of `media_type`: a file cut very short."""
    return len(data) < 16 and any(
        magic.startswith(bytes(data[:16])) for magic, kind in _MAGIC if kind == media_type
    )


def _boxed(head: bytes) -> str | None:
    kind = head[8:12]
    if head.startswith(b"RIFF"):
        return _RIFF.get(kind)
    if head.startswith(b"FORM"):
        return _FORM.get(kind)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(kind)
    # An MPEG audio frame has eleven set bits, a layer and a bit rate that are not reserved.
    if len(head) > 2 and head[0] == 0xFF and head[1] in (0xFB, 0xFA, 0xF3, 0xF2) and head[2] >> 4 not in (0, 15):
        return "audio/mpeg"
    return None


def _holds_array(head: bytes) -> bool:
    """Whether the first file in a zip file is an array of numpy's."""
    return head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy")


def _text(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # Half a character at the end of the head is not judged.
        whole = head[: len(head) // 2 * 2]
        return "text/plain" if not whole.decode("utf-16", errors="ignore").isspace() and len(whole) > 2 else None
    body = head.removeprefix(b"\xef\xbb\xbf")
    if not body or _NOT_TEXT.search(body):
        return None
    try:
        # The head may end inside a character: up to three bytes at its end are not judged.
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(body) - 3:
            return None
    body = body.lstrip()
    if _HTML.match(body):
        return "text/html"
    if _XML.match(body):
        return "image/svg+xml" if _SVG.search(body) else "text/xml"
    if body[:1] in (b"{", b"["):
        return "application/json"
    return "text/plain"
