"""Views that a person keeps by name: addresses of pages. They lie with that person's settings, never in the lake."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError, PetrelError

MOST = 200
LONGEST_NAME = 200
LONGEST_ADDRESS = 100_000
"""Characters: an address has its question in it."""


class SavedViews:
    """The views of one lake.

    Args:
        lake: Where the lake is: views of another lake are others.
        folder: Of the person's settings; None: `petrel/views` in XDG_CONFIG_HOME, else in ~/.config.
    """

    def __init__(self, lake: str, folder: Path | None = None) -> None:
        if folder is None:
            folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "petrel" / "views"
        self._file = folder / f"{hashlib.sha256(lake.encode()).hexdigest()[:16]}.json"
        self._lock = threading.Lock()

    def answer(self, asked: Mapping[str, Any]) -> list[dict[str, str]]:
        """Keep a view (`keep`, its name, and `address`, #/...), or forget one (`forget`); return all that there are.

        Raises:
            ConfigError: If it has no name, or its address leads elsewhere, or there are too many.
            PetrelError: If the file cannot be read or written.
        """
        with self._lock:
            views = self._read()
            if asked.get("keep"):
                views[_name(asked["keep"])] = _address(asked.get("address"))
            elif asked.get("forget"):
                views.pop(str(asked["forget"]), None)
            else:
                return _listed(views)
            if len(views) > MOST:
                raise ConfigError(f"{MOST} views are kept at most; forget one")
            self._write(views)
            return _listed(views)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {_name(name): _address(address) for name, address in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, ConfigError) as error:
            raise PetrelError(f"{self._file} has no views that can be read: {error}; move it away") from error

    def _write(self, views: dict[str, str]) -> None:
        beside = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(views, ensure_ascii=False, indent=1), encoding="utf-8")
            os.replace(beside, self._file)
        except OSError as error:
            raise PetrelError(f"{self._file} cannot be written: {error}; the view was not kept") from error


def _listed(views: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "address": views[name]} for name in sorted(views)]


def _name(given: object) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= LONGEST_NAME:
        raise ConfigError(f"the name of a view is a text of 1 to {LONGEST_NAME} characters")
    return given


def _address(given: object) -> str:
    # It becomes a link: one that began otherwise could lead to another site, or be a script.
    if not isinstance(given, str) or not given.startswith("#/") or len(given) > LONGEST_ADDRESS:
        raise ConfigError(f"the address of a view begins with #/ and has {LONGEST_ADDRESS:,} characters at most")
    return given
