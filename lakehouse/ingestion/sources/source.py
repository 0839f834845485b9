"""What a source says about its files."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError, IngestError
from lakehouse.ingestion.retention.policy import Keep
from lakehouse.ingestion.sources.forms import DATABASE, FILES, LINKED, MANIFEST, options_of
from lakehouse.names import nearest
from lakehouse.objects import file_uri
from lakehouse.place import is_lake
from lakehouse.typed import fill
from loaders.errors import FormatError
from loaders.stores.local import local_folder

RECORD_FILES = ("*.csv", "*.tsv", "*.json", "*.jsonl", "*.xml", "*.toml", "*.yaml", "*.yml", "*.md", "*.txt",
                "LICENSE*", "README*")
"""Files that say something about the others; they are read by other steps, not landed, unless `include` names them by
their ending: texts are landed by `include = ["*.txt"]`."""

MODES = ("copy", "link")

LIST_NOTHING = ("http", "https")
"""Schemes that are read from, and cannot say what there is."""

PER_FILE = "per_file"
"""`sidecar = "per_file"`: the record of `a/b.png` is the JSON object in `a/b.png.json`, or else `a/b.json`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that files come from.

    Attributes:
        name: Stable name of the source; part of every observation.
        folder: Folder to land, searched recursively, or a prefix in a bucket: `s3://bucket/prefix`.
        drop: Name of this delivery.
        follow_links: Read symbolic links that lead to places below the folder, or below one of `links_roots`. Other
            links are refused with a reason, and all of them are where this is off.
        links_roots: Folders outside the source's own that links may lead into, such as the cache of DVC.
        mode: copy (the lake keeps the bytes) or link (they stay; URI, hash and size are kept).
        include: Patterns of names or relative paths to land; none means every file.
        exclude: Patterns to leave out; hidden files are always left out. Of those that stand here by default, one whose
            ending a pattern of `include` names leaves nothing out: `include = ["*.txt"]` lands texts.
        sidecar: CSV or JSON file inside the folder with one record per file, `per_file`, or "" for none. It is
            never landed itself.
        sidecar_key: Column of the sidecar that names the file (relative path or file name).
        group_keys: Name -> column of the sidecar whose value must not be split between train and test.
        captured_at: Column of the sidecar with the time of capture (ISO 8601), or "" for none.
        origin: real, synthetic or augmented.
        licence: Licence of the files.
        campaign: Collection campaign.
        keep: What of it is worth keeping; None keeps everything. What is not is read, and never stored.
        consent: What the people in the files agreed to, in words of your own.
        cadence: How often the source delivers, in words of your own: daily, once ...
        form: What is in the folder: files, or what `lakehouse.ingestion.sources.forms` names.
        options: What that form is told.
    """

    name: str
    folder: str
    drop: str = "main"
    follow_links: bool = False
    links_roots: tuple[str, ...] = ()
    mode: str = "copy"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = RECORD_FILES
    sidecar: str = ""
    sidecar_key: str = "path"
    group_keys: Mapping[str, str] = field(default_factory=dict)
    captured_at: str = ""
    origin: str = "real"
    licence: str = ""
    campaign: str = ""
    keep: Keep | None = None
    consent: str = ""
    cadence: str = ""
    form: str = FILES
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a source needs a name, for example name = \"camera_trap\"")
        if self.form == DATABASE:
            check_server(self.folder, self.name)
        else:
            object.__setattr__(self, "folder", _plain(self.folder, self.name))
        if self.follow_links and not self.is_local:
            raise ConfigError(f"source {self.name}: {self.folder} is in a bucket, which has no links to follow; leave "
                              "follow_links (--follow-links) out")
        if self.mode not in MODES:
            raise ConfigError(f"source {self.name}: unknown mode `{self.mode}`{nearest(self.mode, MODES)}")
        if self.origin not in ("real", "synthetic", "augmented"):
            raise ConfigError(f"source {self.name}: origin must be real, synthetic or augmented, found {self.origin}")
        self._check_form()
        if self.links_roots and not self.follow_links:
            raise ConfigError(f"source {self.name}: links_roots says where links may lead, but links are not followed; "
                              "set follow_links = true (--follow-links)")

    def _check_form(self) -> None:
        options_of(self.form, self.options, where=f"source {self.name}")
        if self.mode == "link" and self.form not in LINKED:
            raise ConfigError(
                f"source {self.name}: mode = link needs files that have an address of their own; what is in "
                f"{self.form} has none: use mode = copy (the lake keeps the bytes, the container can go)"
            )
        if self.keep is not None and self.form not in LINKED:
            raise ConfigError(f"source {self.name}: keep judges files that lie by themselves; what is in {self.form} "
                              "cannot be judged yet: leave keep out, or land the files unpacked")
        if self.form != FILES and self.sidecar:
            raise ConfigError(f"source {self.name}: sidecar describes files of a folder; of {self.form} the columns, "
                              "or in webdataset the files of the same key, describe what is in it")

    @property
    def chosen_options(self) -> Any:
        """What the form is told, typed: see `lakehouse.ingestion.sources.forms`."""
        return options_of(self.form, self.options, where=f"source {self.name}")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Patterns of what is left out: `exclude`, or what of the default `include` does not name."""
        if self.exclude != RECORD_FILES:
            return self.exclude
        return tuple(each for each in self.exclude if not any(
            named.endswith(each[1:]) for named in self.include if each.startswith("*.")
        ))

    @property
    def is_local(self) -> bool:
        """Whether the files are in a folder of this machine."""
        return "://" not in self.folder

    @property
    def address(self) -> str:
        """What the URIs of all files of the source begin with, before a `/`."""
        if self.form == DATABASE and not self.is_local:
            return server_address(self.folder)
        return file_uri(self.folder) if self.is_local else self.folder

    @property
    def allowed_roots(self) -> tuple[bytes, ...]:
        """Real paths of the folders that a link, followed or listed, may lead into; empty where none is followed."""
        if self.form == MANIFEST:
            beside = (os.path.dirname(self.folder) or ".",) if self.is_local else ()
            named = [root for root in (*beside, *self.chosen_options.allow) if "://" not in root]
            return tuple(os.path.realpath(os.fsencode(root)) for root in named)
        if not self.follow_links:
            return ()
        return tuple(os.path.realpath(os.fsencode(folder)) for folder in (self.folder, *self.links_roots))


def check_server(url: str, name: str) -> None:
    """Check the address of a database.

    Raises:
        ConfigError: If it is of no kind that is read, or has a password in it.
    """
    if "://" not in url:
        return
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError(f"source {name}: {parts.scheme}:// is no database that is read; give the file of SQLite, or "
                          "postgresql://user@host/database")
    if parts.password is not None or "password" in urllib.parse.parse_qs(parts.query):
        raise ConfigError(f"source {name}: the address of a database holds no password; it comes from PGPASSWORD, "
                          "~/.pgpass, or the variable that password_env names")


def server_address(url: str) -> str:
    """Return what tells a database of a server from others, without the user."""
    parts = urllib.parse.urlsplit(url)
    asked = urllib.parse.parse_qs(parts.query)
    host = parts.netloc.rpartition("@")[2] or next(iter(asked.get("host", [""])), "")
    return f"postgresql://{urllib.parse.quote(host, safe=':.-[]')}{parts.path}"


def _plain(folder: str, name: str) -> str:
    """Return the folder of a `file://` URL as a path, and that in a bucket without a slash at its end."""
    if "://" not in folder:
        return folder
    try:
        local = local_folder(folder)
    except FormatError as error:
        raise ConfigError(f"source {name}: {error}") from error
    if local is not None:
        return str(local)
    scheme, _, rest = folder.partition("://")
    if scheme.lower() in LIST_NOTHING:
        host = rest.partition("/")[0].rpartition("@")[2]
        raise ConfigError(f"source {name}: {scheme}://{host}: a web server does not list what it has; give a folder or "
                          "a bucket, or download the files first")
    steps = rest.rstrip("/").split("/")
    if "@" in steps[0] and not scheme.startswith("abfs"):
        raise ConfigError(f"source {name}: an address in {scheme}:// holds no user and no key; keys come from the "
                          "environment, or as [stores.NAME] says")
    if not steps[0] or any(step in ("", ".", "..") for step in steps[1:]):
        raise ConfigError(f"source {name}: {folder}: expected scheme://bucket/prefix, without empty steps, . and ..")
    return f"{scheme}://{'/'.join(steps)}"


def check_folder(source: Source) -> None:
    """Check that the folder of a source is there, and is no part of a lake.

    Raises:
        IngestError: If there is no such folder: away for a moment, it must not look like files that are gone.
        ConfigError: If it is a lake, or lies in one: what the lake keeps is no delivery.
    """
    folder = os.path.abspath(os.fsencode(source.folder))
    if not os.path.isdir(folder):
        raise IngestError(f"source {source.name}: no folder {source.folder}; give an existing one")
    for root in source.links_roots:
        if not os.path.isdir(root):
            raise IngestError(f"source {source.name}: no folder {root} for links to lead into; give an existing one")
    place = Path(os.fsdecode(os.path.realpath(folder)))
    for parent in (place, *place.parents):
        if is_lake(parent):
            raise ConfigError(f"source {source.name}: {source.folder} is part of the lake {parent}, which keeps what "
                              "was landed; give the folder with the files themselves")


def source_from(record: Mapping[str, object], *, where: str) -> Source:
    """Read a source from a TOML table.

    Raises:
        ConfigError: If a key is unknown or missing, or a value has the wrong type.
    """
    return fill(Source, record, where=where)
