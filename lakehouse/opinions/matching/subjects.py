"""From the name that a source has for a thing to the entity of the lake: what matches, and what is guessed.

A name matches as it is written. Where nothing of that name is known, `auto` guesses: the path of a URL, the name
without percent signs, in another case, with another ending, without what Label Studio puts before an upload. A guess
holds only if one entity fits and no other name of the import means it; it is noted. Of several entities of one name the
folders that the source names decide, else none is taken.
"""

from __future__ import annotations

import dataclasses
import re
import string
import unicodedata
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.ingestion.sources.listing import plain_path
from lakehouse.media.sniff import claimed
from schemas.canonical import canonical_json

MEDIA = ("image/", "audio/", "video/")
_FOLD = {upper: lower for upper, lower in zip(map(ord, string.ascii_uppercase), string.ascii_lowercase, strict=True)}
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{6,32}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded to it."""


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """How subjects are found.

    Attributes:
        source: Landed source to look in; "" means all.
        match: auto (SHA-256, file:// URI or path, by its looks; where no path fits, one of another case or
            ending), path (relative path, or one that ends or begins as the other does), name (last part of the
            path), stem (name without its ending), sha256, uri, or id (what the sidecar of a file states as its `id`).
    """

    source: str = ""
    match: str = "auto"

    def to_json(self) -> str:
        """Canonical JSON of the rule."""
        return canonical_json(dataclasses.asdict(self))


def key_kind(key: str, match: str) -> str:
    """Return what a subject key is under a rule: sha256, uri, path, auto (a path or a guess), name or stem."""
    if match != "auto":
        return match
    if _SHA256.fullmatch(key):
        return "sha256"
    return "uri" if key.startswith("file://") else "auto"


def key_forms(key: str, kind: str) -> list[str]:
    """Return the spellings of a subject key under which the lake may know it, without repeats.

    File names differ in Unicode form between systems, and the lake percent-encodes what is not plain text.
    """
    if kind == "sha256":
        return [key.lower()]
    if kind in ("uri", "id"):
        return [key]
    return _spellings(key)


def key_guesses(key: str) -> list[tuple[str, str]]:
    """Return what a key may stand for where nothing is called so: pairs of way (`choice.WAYS`) and spelling.

    Letters A to Z of the spellings are small; of way stem the ending of a kind of media is cut off.
    """
    forms = [_folded(form) for form in _spellings(key)]
    plain = urllib.parse.unquote(key)
    unquoted = [_folded(form) for form in _spellings(plain)] if plain != key and "\x00" not in plain else []
    stems = [stem_of(form) for form in (*forms, *unquoted)]
    url = _url_path(key)
    in_url = [_folded(form) for form in _spellings(url)] if url else []
    upload = _UPLOAD.sub("", (url or plain).replace("\\", "/").rpartition("/")[2])
    uploaded = [_folded(form) for form in _spellings(upload)] if _UPLOAD.match(f"/{key}".rpartition("/")[2]) else []
    ways = (("unquoted", unquoted), ("url", in_url), ("case", forms), ("stem", stems), ("upload", uploaded))
    return [(way, form) for way, found in ways for form in dict.fromkeys(found)]


def asked_of(key: str, folders: Sequence[str]) -> str:
    """Return what two answers have in common that ask for the same subject: the key, and the folders they name."""
    return canonical_json([key, *folders]) if folders else key


def _spellings(key: str) -> list[str]:
    plain = key.replace("\\", "/").lstrip("/")
    while plain.startswith(("./", "../")):
        plain = plain.partition("/")[2]
    spellings = [plain] if plain.isascii() else [plain, *(unicodedata.normalize(f, plain) for f in ("NFC", "NFD"))]
    forms = [each for spelling in spellings for each in (plain_path(spelling.encode()), spelling)]
    return list(dict.fromkeys(forms))


def _folded(form: str) -> str:
    # As SQL's translate() below: what other letters make of it differs between engines.
    return form.translate(_FOLD)


def stem_of(form: str) -> str:
    """Return a path without the ending of a kind of media; "v1.0" has none."""
    folder, _, name = form.rpartition("/")
    stem = name.rpartition(".")[0]
    name = stem if stem and (claimed(name) or "").startswith(MEDIA) else name
    return f"{folder}/{name}" if folder else name


def _url_path(key: str) -> str:
    """Return the path that a URL holds, without its percent signs; "" of what is none.

    Label Studio serves local files under `/data/local-files/?d=path`.
    """
    try:
        found = urllib.parse.urlsplit(key)
    except ValueError:
        return ""
    local = urllib.parse.parse_qs(found.query).get("d", []) if found.path.endswith("/data/local-files/") else []
    is_url = bool(found.scheme and found.netloc)
    path = local[0] if local else urllib.parse.unquote(found.path) if is_url else ""
    return "" if "\x00" in path else path.lstrip("/")
