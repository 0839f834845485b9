"""What travels between the parent and its worker processes: JSON, bytes, and errors as text. Never a pickle."""

from __future__ import annotations

import builtins
import contextlib
import json
import struct
import traceback
from typing import Any, TypeAlias

from loaders import errors

Bytes = bytes | bytearray | memoryview

Json: TypeAlias = Any
"""What JSON can hold: None, bool, int, float, str, and lists and dicts of them."""

READY, JOB, DONE, FAILED, NO_START = b"R", b"J", b"D", b"F", b"N"
_HEAD = struct.Struct("<cQQ")  # kind, bytes of JSON, bytes of payload

_TEXT = 1 << 16  # characters of a message or a traceback that travel
_FACTS = ("file", "row_group", "row", "column", "errno")


def pack(kind: bytes, value: Json, payload: Bytes = b"") -> bytes:
    """Return one message.

    Raises:
        TypeError: If `value` is not what JSON can hold: None, bool, int, float, str, and lists and dicts of them.
    """
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"".join((_HEAD.pack(kind, len(text), memoryview(payload).nbytes), text, payload))


class Inbox:
    """Bytes that came in, until they are a whole message."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def missing(self) -> int:
        """Bytes that the message under way still needs; 0 once it is whole."""
        size = _HEAD.size
        if len(self._bytes) >= size:
            _, text, payload = _HEAD.unpack_from(self._bytes)
            size += text + payload
        return max(0, size - len(self._bytes))

    def add(self, data: bytes) -> None:
        """Take what was received: never more than `missing`."""
        self._bytes += data

    def take(self) -> tuple[bytes, Json, bytes]:
        """Return kind, value and payload of the whole message, and be empty again."""
        kind, text, _ = _HEAD.unpack_from(self._bytes)
        value = json.loads(self._bytes[_HEAD.size : _HEAD.size + text])
        payload = bytes(memoryview(self._bytes)[_HEAD.size + text :])
        self._bytes = bytearray()
        return kind, value, payload


def describe(error: BaseException) -> dict[str, Json]:
    """Return an error as JSON: its classes, its message, its place, its traceback."""
    try:
        only = error.args[0] if len(error.args) == 1 else None
        message = only if isinstance(only, str) else str(error)
    except Exception:
        message = "(an error that cannot say its message)"
    facts = {name: getattr(error, name, None) for name in _FACTS}
    return {
        "classes": [(kind.__module__, kind.__qualname__) for kind in type(error).__mro__],
        "message": message[:_TEXT],
        "facts": {name: fact for name, fact in facts.items() if type(fact) in (int, str)},
        "notes": [str(note)[:_TEXT] for note in getattr(error, "__notes__", [])],
        "traceback": "".join(traceback.format_exception(error))[-_TEXT:],
    }


class WorkerTraceback(Exception):
    """The cause of an error that was raised in a worker process: the traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def rebuild(told: dict[str, Json], what: str) -> Exception:
    """Return the error that `describe` told of, as the nearest class that is ours or built in.

    A loader error or a plain built-in one comes back as itself; a subclass of one as that one, its own name in the
    message; anything else, such as SystemExit, as LoaderError. The traceback of the worker is the cause.
    """
    name, message = told["classes"][0][1], told["message"] or "(no message)"
    error: Exception = errors.LoaderError(f"{what}: {name}: {message}")
    for module, base in told["classes"]:
        kind = _known(module, base)
        if kind is not None:
            with contextlib.suppress(TypeError):  # UnicodeDecodeError and its like take more than a message
                error = kind(message if base == name and told["message"] else f"{what}: {name}: {message}")
                break
    for fact, value in told["facts"].items():
        if hasattr(error, fact):
            setattr(error, fact, value)
    for note in told["notes"]:
        error.add_note(note)
    error.__cause__ = WorkerTraceback(told["traceback"])
    return error


def _known(module: str, name: str) -> type[Exception] | None:
    if name in ("Exception", "StopIteration", "StopAsyncIteration"):  # a StopIteration would end a loop in silence
        return None
    kind = vars({"loaders.errors": errors, "builtins": builtins}.get(module, object)).get(name)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None
