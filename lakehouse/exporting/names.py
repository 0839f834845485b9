"""Names of what is exported: of labels as folders, so that every label can be read back; of files by their entity."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Iterable

from lakehouse.errors import ConfigError
from lakehouse.media.sniff import extension_of

MOST_BYTES = 255
"""Of one name, on the file systems there are."""

_UNSAFE = frozenset('%/\\:*?"<>|')
"""What some file system takes for something else; `%` is how these are written."""

_PLAIN = frozenset(string.ascii_lowercase + string.digits + "-")


def folders_of(labels: Iterable[str]) -> dict[str, str]:
    """Return label -> name of its folder, from which `urllib.parse.unquote` makes the label again.

    A label is its own name but for characters that cannot stand in one, which are percent-encoded. Labels that some
    file system would take for one (`Cat` and `cat`, two spellings of `é`) have all but `a-z0-9-` encoded.

    Raises:
        ConfigError: If a name would be longer than a file system takes.
    """
    distinct = sorted(set(labels))
    alike = Counter(map(_folded, distinct))
    names = {}
    for label in distinct:
        keeps = _keeps_plain if alike[_folded(label)] > 1 else _keeps
        name = "".join(each if keeps(each, place, label) else _encoded(each) for place, each in enumerate(label))
        if len(name.encode()) > MOST_BYTES:
            raise ConfigError(
                f"label {label!a:.80} is {len(name.encode())} bytes long as the name of a folder, and {MOST_BYTES} are "
                "the most; export to webdataset, parquet or manifest, or select a shorter text as label"
            )
        names[label] = name
    return names


def file_of(entity_id: str, media_type: str) -> str:
    """Return `<entity id>.<ending>`: no two entities have one name, and none has a dot before its ending."""
    return f"{entity_id}.{extension_of(media_type)}"


def _keeps(character: str, place: int, label: str) -> bool:
    if character in _UNSAFE or not character.isprintable():
        return False
    # A dot or blank at the end is lost on some systems.
    return not (character in ". " and place in (0, len(label) - 1)) and not (character == "_" and place == 0)


def _keeps_plain(character: str, _place: int, _label: str) -> bool:
    return character in _PLAIN


def _encoded(character: str) -> str:
    # Not `urllib.parse.quote`, which keeps letters, dots and `_`.
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _folded(label: str) -> str:
    return unicodedata.normalize("NFC", label).casefold()
