"""What one demo is about: its name, its folder, its pipeline and how its model is judged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from examples.demo.card import Settings
from lakehouse.errors import IngestError

DEMO_FOLDER = Path(".demo")

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """One demo.

    Attributes:
        name: Name of the demo and of its dataset.
        home: Folder that everything of this demo lies in.
        pipeline: The pipeline file, inside `home`.
        question: Question that the dataset's labels answer; "" if there are no labels to learn.
        gates: What the model must reach, for example `accuracy>=0.97`.
        slices: Columns that its accuracy is broken down by.
        found: What the folder turned out to be, for a person.
        settings: How the model is trained.
    """

    name: str
    home: Path
    pipeline: Path
    question: str
    gates: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    found: str = ""
    settings: Settings = field(default_factory=Settings)


def toml_text(sections: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """Return `[header]` sections as TOML; values are texts, numbers, lists of texts and tables of texts."""
    blocks = []
    for header, entries in sections:
        lines = [f"{key} = {_value(value)}" for key, value in entries.items()]
        blocks.append("\n".join(([header] if header else []) + lines))
    return "\n\n".join(blocks) + "\n"


def write_if_other(path: Path, text: str) -> None:
    """Write a text file unless it holds that text already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _value(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _key(text: str) -> str:
    return text if BARE_KEY.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise IngestError(f"the name {text!a} is not UTF-8 and cannot stand in a pipeline file; rename it") from error
    # JSON's escapes are TOML's; TOML also wants DEL escaped, which JSON leaves alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
