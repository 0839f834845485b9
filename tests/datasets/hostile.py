"""A hundred texts that attack whoever pastes them into something, every place of a recipe for a text, and traps.

`{file}` and `{folder}` in a text are those of the trap, `{url}` is where it listens.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SQL = (
    "'; drop table silver.entities; --", "\"; drop table \"silver\".\"entities\"; --", "' or '1'='1", "' or 1=1 --",
    "1; delete from silver.entities", "'); delete from gold.datasets; --", "' union select * from silver.opinions --",
    "x' || (select max(entity_id) from silver.entities) || 'x", "\\'; update silver.entities set size_bytes = 0; --",
    "select 1; insert into silver.entities select * from silver.entities", "cat') or true or ('1'='1",
    "cat\" or true or \"1\"=\"1", "$$; drop table silver.entities; $$", "$name", "${{name}}", "?", ":name",
    "'' ''", "'", "\"", "`", "''''''", "\\", "\\\\'", "x'--", "/* ", "*/ drop table silver.entities /*", "-- ", "#",
    "; ; ;", "silver.entities", "select entity_id from entities; select 1", "with x as (select 1) delete from x",
    "create table canary as select 1", "alter table silver.entities add column x int",
    "prepare p as select 1; execute p", "begin; drop view entities; commit", "call pragma_version()",
    "E'\\x27; drop table silver.entities --", "chr(39)", "select getenv('HOME')", "select * from duckdb_settings()",
)  # fmt: skip
FILES = (
    "select * from read_csv('{file}')", "select * from '{file}'", "'; copy (select 42) to '{folder}/new.csv'; --",
    "copy silver.entities to '{folder}/new.parquet'", "attach '{folder}/new.db' as other",
    "'; attach '{folder}/new.db' as other; --", "select content as entity_id from read_text('{file}')",
    "select * from read_parquet('{folder}/*')", "select * from glob('{folder}/*')", "import database '{folder}'",
    "export database '{folder}/all'", "install httpfs; load httpfs", "load '{folder}/evil.duckdb_extension'",
    "select * from read_json('{url}/a.json')", "select * from '{url}/a.parquet'", "pragma database_list",
    "'; pragma enable_profiling; --", "set enable_external_access = true", "'; set memory_limit = '1MB'; --",
    "reset all", "select * from delta_scan('{folder}')", "select * from sniff_csv('{file}')",
    "create secret (type s3, endpoint '{url}')", "select * from postgres_scan('{url}', 'a', 'b')",
)  # fmt: skip
PATHS = (
    "../../../../etc/passwd", "{file}", "{folder}", "file://{file}", "{url}/recipe.toml", "..", "/", "~root/.ssh",
    "CON", "a/../../b", "%2e%2e%2f", "/dev/zero",
)  # fmt: skip
UNICODE = (
    "\0", "cat\0dog", "\x1b[2J\x1b]0;owned\x07", "cat\nPetrel: all good", "cat\r\ndone", "\u202ecat\u202c", "c\u200bat",
    "\ufeffcat", "ｃａｔ", "саt", "cat\u0301", "\U0001f4a9", "\u2028x\u2029", "\ud800", "ﷺ" * 50, "\u02bc; drop --",
)  # fmt: skip
OTHERS = (
    "{{0.__class__.__mro__}}", "%s%s%s%n", "%(x)s", "{{{{7*7}}}}", "$(touch {folder}/new)", "`touch {folder}/new`",
    "; touch {folder}/new #", "| cat {file}", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)", "]]><!--", "\"\n[select]\nsql = \"drop table silver.entities",
    "''' = 1\nname = \"owned\" #", "__import__('os').system('touch {folder}/new')",
    "(" * 5_000, "a" * 300_000, "select " + "(" * 3_000 + "1" + ")" * 3_000,
)  # fmt: skip

INJECTIONS = tuple(dict.fromkeys((*SQL, *FILES, *PATHS, *UNICODE, *OTHERS)))

KEY, INSIDE, ITEM = "<key>", "<value>", "<item>"
"""Steps of a place: the name of a key in a table of any keys, the value of one, an item of a list."""

Place = tuple[str, ...]


def places(schema: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield every place of a recipe that a text can stand in, from its JSON schema; with a key, a value for it."""
    for each in schema.get("anyOf", ()) if "properties" not in schema else ():
        yield from places(each, above)
    kind = schema.get("type")
    if kind == "string" or not schema.keys() & {"type", "anyOf", "properties"}:
        yield above, None
    elif kind == "array":
        yield from places(schema["items"], (*above, ITEM))
    for name, each in schema.get("properties", {}).items():
        yield from places(each, (*above, name))
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        yield (*above, KEY), {"string": "train", "integer": 1, "number": 1.0}.get(values.get("type", ""), "train")
        yield from places(values, (*above, INSIDE))


BESIDE: dict[str, dict[str, Any]] = {
    "select.params": {"select": {"sql": "select entity_id from entities where entity_id <> $k"}},
    "select.hard.confidence": {"select": {"hard": {"confidence": {"below": 0.5}}}},
    "changes": {"changes": {"of": "animals"}},
    "strata": {"strata": {"by": ["label"], "on_short": "take"}},
    "balance": {"balance": {"by": "label"}},
    "split.names": {"split": {"official": "key:speaker"}},
    "duplicates.question": {"duplicates": {"near": "embedding", "actor": "model:m"}},
    "duplicates.actor": {"duplicates": {"near": "embedding", "question": "animal"}},
}
"""Place, or the beginning of one -> other keys without which it would be refused before anybody reads it."""

NAMED = {"select.where": "media_type", "label.map": "cat", "split.fixed": "test", "split.names": "s1"}
"""Table of any keys -> the key that has the attack as value; others have `k`."""


def record_with(place: Place, text: str, value: object) -> dict[str, Any]:
    """Return a recipe, as TOML has it, with a text in one place."""
    record: dict[str, Any] = {"name": "attacked", "question": "animal"}
    dotted = ".".join(place)
    for beginning, keys in BESIDE.items():
        if dotted.startswith(beginning):
            _merge(record, keys)
    said: Any = text
    for end in range(len(place), 0, -1):
        step, table = place[end - 1], ".".join(place[: end - 1])
        if step == ITEM:
            said = [said]
        else:
            name = text if step == KEY else NAMED.get(table, "k") if step == INSIDE else step
            said = {name: value if step == KEY else said}
    _merge(record, said)
    return record


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def toml_of(record: Mapping[str, Any]) -> str:
    """Return a recipe as text of TOML: every key and text a basic string, tables inline."""
    return "".join(f"{_basic(key)} = {_inline(value)}\n" for key, value in record.items())


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_basic(key)} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _basic(value) if isinstance(value, str) else str(value)


def _basic(text: str) -> str:
    escaped = (f"\\u{ord(each):04x}" if ord(each) < 32 or each in '\x7f"\\' else each for each in text)
    return f'"{"".join(escaped)}"'


class Trap:
    """A folder with a file that nobody may open, and a port that nobody may knock at.

    The kernel tells of every file that any process opens, makes, changes or removes in the folder (inotify).
    """

    SECRET = "canary-7f3a9c"
    OPENED, CHANGED = 0x20, 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file, self.folder = folder / "canary.csv", folder
        self.file.write_text(f"entity_id\n{self.SECRET}\n", encoding="utf-8")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        libc = ctypes.CDLL(None, use_errno=True)
        self.watching = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self.watching, os.fsencode(folder), self.OPENED | self.CHANGED) > 0

    def fill(self, text: str) -> str:
        """Return an attack on this trap."""
        if "{" not in text:
            return text
        named = text.format(file=self.file, folder=self.folder, url=self.url, name="name")
        return named

    def sprung(self) -> list[str]:
        """Return what was touched since the last call: names of files ("" is the folder), `knock`."""
        found = []
        try:
            data = os.read(self.watching, 1 << 16)
        except BlockingIOError:
            data = b""
        while data:
            _, _, _, length = struct.unpack_from("iIII", data)
            found.append(data[16 : 16 + length].rstrip(b"\0").decode())
            data = data[16 + length :]
        try:
            while True:
                self.listening.accept()[0].close()
                found.append("knock")
        except BlockingIOError:
            return found

    def close(self) -> None:
        """Let go of port and watch."""
        self.listening.close()
        os.close(self.watching)
