"""From the bytes of an XML document to its text, in the encoding that its mark or its declaration states."""

from __future__ import annotations

import codecs
import re

from lakehouse.errors import RejectedInputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_DECLARED = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "euc_kr": "cp949", "shift_jis": "cp932"}
"""What tools write under a narrower name."""

_NOT_TEXT = {"utf_7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}


def xml_text(data: bytes) -> str:
    """Return the text of a document without its byte order mark.

    A mark decides, then the declaration, then UTF-8 as XML says. Nothing is replaced.

    Raises:
        RejectedInputError: wrong_encoding, if the bytes are not in that encoding, or nobody knows it.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decoded(data.removeprefix(mark), name, "its byte order mark says")
    for start, name in _UNMARKED:
        if data.startswith(start):
            return _decoded(data, name, "its first bytes say")
    declared = _DECLARED.match(data[:1_000])
    if declared is None:
        return _decoded(data, "utf-8", "it declares no other encoding than")
    return _decoded(data, declared[1].decode("ascii"), "it declares")


def shown_text(data: bytes) -> str:
    """Return the text for people: as `xml_text`, else what can be read of it."""
    try:
        return xml_text(data)
    except RejectedInputError:
        return data.decode("utf-8-sig", "replace")


def _decoded(data: bytes, name: str, why: str) -> str:
    try:
        known = codecs.lookup(name).name
    except LookupError:
        known = ""
    if not known or known.replace("-", "_") in _NOT_TEXT:
        raise RejectedInputError("wrong_encoding", f"declares encoding {name!a}, which is unknown; save it as UTF-8")
    if known in ("utf-16", "utf-32"):
        # Neither has its mark, or the first bytes would have told.
        raise RejectedInputError("wrong_encoding", f"declares {name}, and its first bytes are not; save it as UTF-8")
    for codec in filter(None, (known, _WIDER.get(known))):
        try:
            return data.decode(codec)
        except (UnicodeError, LookupError):
            continue
    raise RejectedInputError("wrong_encoding", f"{why} {name}, and the bytes are not; save it as UTF-8")
