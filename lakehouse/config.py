"""One frozen, typed configuration, from TOML files, the environment and the command line.

Precedence, weakest first: `conf/base.toml` (the defaults below, written out), the named file,
`PETREL__SECTION__KEY` in the environment, `--set section.key=value`. A key counts as set when it is
present, whatever its value: False and 0 override too. Secrets never stand here; they come from the environment.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.typed import fill, read_toml, typed

ENV_PREFIX = "PETREL__"
STORES = "stores"
"""Section that has a table for each store."""
MAX_WORKERS = 1024
MIN_SQL_MB = 256
"""DuckDB, pyarrow and the logs of the tables take about half of it."""


@dataclass(frozen=True, slots=True)
class LakeConfig:
    """Where the lake is."""

    root: str = ".petrel"
    """Folder of the lake, or its URL in a bucket, `s3://bucket/lake`; relative to the working folder."""
    author: str = ""
    """Who works on it, for people: kept with the datasets that are built and the tags that are set; "": not stated."""
    copies: str = ""
    """Folder for the copies in which this machine reads the tables of lakes in buckets; "": `lakes` in the cache."""
    branch: str = "main"
    """The branch that is worked on. `@3f2c91`, `@paper`, `@{2026-01-31}`: the lake as that commit has it, to read."""
    commit_steps: bool = True
    """Whether the lake is committed after each step that changed it; else only when somebody asks."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How work is spread."""

    workers: int = 0
    """Processes of the embedded engine; 0 means one per core that we may use."""
    memory_limit_mb: int = 0
    """Memory for DuckDB, MB; 0 leaves DuckDB's own default (80 % of the machine)."""
    driver_mb: int = 64
    """Spark: tables and results up to so many MB are worked on by the driver itself; 0 leaves all to Spark."""
    lock_timeout_s: float = 600.0
    """How long a writer waits for another writer of the same table."""
    commit_attempts: int = 8
    """How often a commit is tried when storage or another writer refuses it."""


@dataclass(frozen=True, slots=True)
class LandConfig:
    """How files are brought in."""

    files_per_commit: int = 20_000
    """Files between two commits: what a killed run repeats at most."""
    max_file_bytes: int = 8 << 30
    """Larger files are refused with a reason; 8 GiB."""
    max_members: int = 10_000_000
    """Files of one archive or shard; what is behind them is refused with a reason."""
    max_unpacked_bytes: int = 4 << 40
    """Bytes that one archive or shard may unpack to; 4 TiB."""
    max_unpacked_ratio: float = 200.0
    """Unpacked bytes for each packed one, of what unpacks to more than 64 MiB. Deflate reaches 1,032 with zeros; real
    files that are worth an archive stay far below."""


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """What an image may be before it counts as hostile."""

    max_pixels: int = 64_000_000
    """A 254 KB PNG just under Pillow's own warning costs 357 MB to decode; this stays below."""
    max_frames: int = 10_000
    """Frames of an animated image."""
    max_bytes: int = 512 << 20
    """Encoded bytes of one image that are read into memory."""


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """What a recording may be before it counts as hostile."""

    max_bytes: int = 512 << 20
    """Encoded bytes of one recording that are read into memory."""
    max_duration_s: float = 7200.0
    """Seconds; the reader's limit of 30,000,000 frames x channels holds beside it."""
    max_channels: int = 64
    """Channels of one recording."""


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """What a video may be before it counts as hostile."""

    max_bytes: int = 1 << 30
    """Encoded bytes of one video that are read into memory, where they are held twice."""
    max_pixels: int = 64_000_000
    """Width times height of one frame."""
    max_frames: int = 1_000_000
    """Frames of one video."""
    max_duration_s: float = 36_000.0
    """Seconds."""
    timeout_s: float = 120.0
    """Seconds that looking into one may take, in a process of its own."""
    memory_mb: int = 4096
    """MB that this process may grow by; a video is held in it twice."""


@dataclass(frozen=True, slots=True)
class ArraysConfig:
    """What an array may be before it counts as hostile."""

    max_bytes: int = 1 << 30
    """Bytes of one file, and of the array that a packed one becomes."""


@dataclass(frozen=True, slots=True)
class PointsConfig:
    """What a point cloud may be before it counts as hostile."""

    max_bytes: int = 1 << 30
    """Bytes of one file that are read into memory."""
    max_points: int = 200_000_000
    """Points of one file, by its header."""


@dataclass(frozen=True, slots=True)
class DicomConfig:
    """What a DICOM file may be before it counts as hostile."""

    max_bytes: int = 1 << 30
    """Bytes of one file that are read into memory."""
    max_pixels: int = 1_000_000_000
    """Rows times columns times frames, by the header."""


@dataclass(frozen=True, slots=True)
class TextConfig:
    """What a text may be before it counts as hostile."""

    max_bytes: int = 64 << 20
    """Bytes of one file; 64 MiB are the reader's own limit."""


@dataclass(frozen=True, slots=True)
class OpinionsConfig:
    """How imports of opinions are judged."""

    max_rejected_share: float = 0.05
    """An import with a larger share of rejected rows fails loudly and writes nothing."""


@dataclass(frozen=True, slots=True)
class SqlConfig:
    """What a query that a person wrote may take: `petrel sql`, `select.sql` of recipes, `user_query`."""

    timeout_s: float = 60.0
    """Seconds until it is stopped."""
    memory_mb: int = 1024
    """Memory of its process, MB; DuckDB takes half of it at most and writes the rest to disk where it can."""
    max_rows: int = 10_000_000
    """Rows of its result."""
    max_result_mb: int = 512
    """Size of its result, MB."""
    temp_mb: int = 2048
    """Disk for what does not fit in memory, MB, in the system's folder for temporary files (TMPDIR)."""


@dataclass(frozen=True, slots=True)
class LineageConfig:
    """Whom steps tell what they read and wrote."""

    openlineage: str = ""
    """File to which events of OpenLineage are added, a line each, or URL of a server; "": nobody is told."""
    namespace: str = "petrel"
    """Namespace of the jobs in these events."""
    timeout_s: float = 5.0
    """Seconds that a server may take for an event."""


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """How buckets are reached: the table `[stores.NAME]`, for every URL that begins with its `url`."""

    url: str
    """Beginning of the URLs that these settings are for, `s3://archive`; of several that fit the longest counts."""
    endpoint: str = ""
    """Address of the server, `https://host:port`; "" takes AWS_ENDPOINT_URL, else the cloud's own."""
    region: str = ""
    """Region; "" takes AWS_REGION, else that of the profile."""
    anonymous: bool = False
    """Requests are not signed, as for public data."""
    profile: str = ""
    """Profile of `~/.aws` whose keys are taken."""
    keys_from: str = ""
    """The keys are in NAME_ACCESS_KEY_ID and NAME_SECRET_ACCESS_KEY of the environment."""
    account: str = ""
    """Storage account, of Azure."""
    single_writer: bool = False
    """The store knows no conditional writes, and nobody else writes to the lake: work without leases."""
    lease_s: float = 30.0
    """How long a lock holds that nobody renews: what a killed writer delays others."""
    deadline_s: float = 18.0
    """Seconds in which a request gets its answer, tries included: where a store is away, a command has ended in 30."""
    tries: int = 8
    """How often a request is sent before its error is raised."""
    parallel: int = 8
    """Requests under way at once, of one process."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    lake: LakeConfig = field(default_factory=LakeConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    land: LandConfig = field(default_factory=LandConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    video: VideoConfig = field(default_factory=VideoConfig)
    arrays: ArraysConfig = field(default_factory=ArraysConfig)
    points: PointsConfig = field(default_factory=PointsConfig)
    dicom: DicomConfig = field(default_factory=DicomConfig)
    text: TextConfig = field(default_factory=TextConfig)
    opinions: OpinionsConfig = field(default_factory=OpinionsConfig)
    sql: SqlConfig = field(default_factory=SqlConfig)
    lineage: LineageConfig = field(default_factory=LineageConfig)
    stores: Mapping[str, StoreConfig] = field(default_factory=dict)

    def to_json(self) -> str:
        """The whole resolved configuration, one line, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def load_config(
    path: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the configuration.

    Args:
        path: TOML file; None takes the defaults.
        overrides: `section.key=value` texts, strongest; the value is read as TOML, else as text.
        environ: Environment to look for `PETREL__SECTION__KEY` in; None means the process's own.

    Raises:
        ConfigError: If the file is missing or not TOML, or a key is unknown, of the wrong type or out of range.
    """
    layers: list[tuple[str, dict[str, dict[str, object]]]] = []
    if path is not None:
        layers.append((str(path), read_toml(path)))
    layers.append(("environment", _from_environment(os.environ if environ is None else environ)))
    for text in overrides:
        layers.append((f"--set {text}", _from_override(text)))
    values: dict[str, dict[str, object]] = {}
    for origin, layer in layers:
        _merge(values, layer, origin)
    stores = {name: fill(StoreConfig, given, where=f"[{STORES}.{name}]") for name, given in _stores(values)}
    sections = {name: _section_types()[name](**given) for name, given in values.items() if name != STORES}
    return _check(Config(**sections, stores=stores))


def config_of(record: Mapping[str, object]) -> Config:
    """Return what `Config.to_json` wrote, for another process.

    Raises:
        ConfigError: If it is of another version of Petrel.
    """
    return _check(fill(Config, record, where="configuration of another process"))


def _section_types() -> dict[str, type]:
    return {name: kind for name, kind in typing.get_type_hints(Config).items() if name != STORES}


def _stores(values: Mapping[str, dict[str, object]]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield each table `[stores.NAME]`."""
    for name, given in values.get(STORES, {}).items():
        if not isinstance(given, Mapping):
            raise ConfigError(f"[{STORES}]: expected tables [{STORES}.NAME] with a url each, found {name} = {given!r}")
        yield name, given


def _merge(values: dict[str, dict[str, object]], layer: Mapping[str, object], origin: str) -> None:
    sections = _section_types()
    for section, given in layer.items():
        if section == STORES and isinstance(given, Mapping):
            _merge_stores(values.setdefault(STORES, {}), given)
            continue
        if section not in sections:
            raise ConfigError(f"{origin}: unknown section [{section}]{nearest(section, sections)}")
        if not isinstance(given, Mapping):
            raise ConfigError(f"{origin}: [{section}] must be a table of settings, found {given!r}")
        types = typing.get_type_hints(sections[section])
        for key, value in given.items():
            if key not in types:
                raise ConfigError(f"{origin}: unknown key {section}.{key}{nearest(key, types)}")
            values.setdefault(section, {})[key] = typed(value, types[key], where=f"{origin}: {section}.{key}")


def _merge_stores(held: dict[str, object], given: Mapping[str, object]) -> None:
    for name, settings in given.items():
        before = held.get(name)
        both = isinstance(before, Mapping) and isinstance(settings, Mapping)
        held[name] = {**before, **settings} if both else settings  # type: ignore[dict-item]


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, object]]:
    layer: dict[str, dict[str, object]] = {}
    for name, text in environ.items():
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator and key:
            _put(layer.setdefault(section, {}), key.split("__") if section == STORES else [key], _literal(text))
        elif name.startswith(ENV_PREFIX) or _meant_as_setting(name):
            raise ConfigError(f"environment: {name} sets nothing; write {_setting_like(name)}, or take it out")
    return layer


def _meant_as_setting(name: str) -> bool:
    # With one underscore too few it would be passed over, and the run be another than was asked for.
    program, _, rest = name.upper().partition("_")
    return program == "PETREL" and any(rest.lstrip("_").startswith(f"{each.upper()}_") for each in _section_types())


def _setting_like(name: str) -> str:
    words = name.upper().removeprefix("PETREL").strip("_")
    for section, kind in _section_types().items():
        for key in typing.get_type_hints(kind):
            if words.replace("_", "") == f"{section}{key}".upper().replace("_", ""):
                return f"{ENV_PREFIX}{section}__{key}".upper()
    return f"{ENV_PREFIX}SECTION__KEY"


def _from_override(text: str) -> dict[str, dict[str, object]]:
    path, separator, value = text.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (separator and dot and key):
        raise ConfigError(f"--set {text}: expected section.key=value, for example lake.root=/data/lake")
    layer: dict[str, object] = {}
    _put(layer, key.split(".") if section == STORES else [key], _literal(value.strip()))
    return {section: layer}


def _put(layer: dict[str, object], path: Sequence[str], value: object) -> None:
    """Set a key of a section, or one of a table of it."""
    for name in path[:-1]:
        layer = layer.setdefault(name, {})  # type: ignore[assignment]
    layer[path[-1]] = value


def _literal(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check_no_secret(name: str, address: str) -> None:
    """Refuse an address with a user or password: it would be in logs, messages and what a lake notes of itself."""
    scheme, _, rest = address.partition("://")
    if rest and "@" in (host := rest.partition("/")[0]):
        if scheme in ("abfss", "abfs") and ":" not in host:  # there it names the container
            return
        shown = f"{scheme}://...@{host.rpartition('@')[2]}"
        raise ConfigError(
            f"{name} = {shown}: user and password do not belong into an address; keys come from the environment "
            "(AWS_ACCESS_KEY_ID ..., or those that keys_from of a [stores] table names), a profile or a role"
        )


def _check_lineage(lineage: LineageConfig) -> None:
    scheme, separator, rest = lineage.openlineage.partition("://")
    if separator and scheme not in ("http", "https"):
        raise ConfigError(f"lineage.openlineage = {scheme}://...: expected a file, or a URL of http or https")
    _check_no_secret("lineage.openlineage", lineage.openlineage)
    if separator and "?" in rest:
        raise ConfigError(
            "lineage.openlineage: a query (?...) does not belong into it: it would be in logs; a key comes from "
            "OPENLINEAGE_API_KEY of the environment"
        )


def _check(config: Config) -> Config:
    positive = {
        "land.files_per_commit": config.land.files_per_commit,
        "land.max_file_bytes": config.land.max_file_bytes,
        "images.max_pixels": config.images.max_pixels,
        "images.max_frames": config.images.max_frames,
        "images.max_bytes": config.images.max_bytes,
        "audio.max_bytes": config.audio.max_bytes,
        "audio.max_duration_s": config.audio.max_duration_s,
        "audio.max_channels": config.audio.max_channels,
        "video.max_bytes": config.video.max_bytes,
        "video.max_pixels": config.video.max_pixels,
        "video.max_frames": config.video.max_frames,
        "video.max_duration_s": config.video.max_duration_s,
        "video.timeout_s": config.video.timeout_s,
        "video.memory_mb": config.video.memory_mb,
        "arrays.max_bytes": config.arrays.max_bytes,
        "points.max_bytes": config.points.max_bytes,
        "points.max_points": config.points.max_points,
        "dicom.max_bytes": config.dicom.max_bytes,
        "dicom.max_pixels": config.dicom.max_pixels,
        "text.max_bytes": config.text.max_bytes,
        "engine.commit_attempts": config.engine.commit_attempts,
        "engine.lock_timeout_s": config.engine.lock_timeout_s,
        "sql.timeout_s": config.sql.timeout_s,
        "sql.max_rows": config.sql.max_rows,
        "sql.max_result_mb": config.sql.max_result_mb,
        "sql.temp_mb": config.sql.temp_mb,
        "lineage.timeout_s": config.lineage.timeout_s,
    }
    for name, store in config.stores.items():
        counts = ("lease_s", "deadline_s", "tries", "parallel")
        _check_no_secret(f"{STORES}.{name}.url", store.url)
        _check_no_secret(f"{STORES}.{name}.endpoint", store.endpoint)
        positive |= {f"{STORES}.{name}.{key}": getattr(store, key) for key in counts}
    _check_no_secret("lake.root", config.lake.root)
    _check_lineage(config.lineage)
    for name, value in positive.items():
        # Not `value <= 0`, which is false for NaN.
        if not value > 0:
            raise ConfigError(f"{name}: must be above 0, found {value}")
    if config.sql.memory_mb < MIN_SQL_MB:
        raise ConfigError(f"sql.memory_mb: at least {MIN_SQL_MB}, found {config.sql.memory_mb}")
    if config.engine.workers > MAX_WORKERS:
        raise ConfigError(f"engine.workers: at most {MAX_WORKERS}, found {config.engine.workers}; 0 takes all cores")
    if min(config.engine.workers, config.engine.memory_limit_mb, config.engine.driver_mb) < 0:
        raise ConfigError("engine.workers, engine.memory_limit_mb and engine.driver_mb must be 0 or more")
    if not 0 <= config.opinions.max_rejected_share <= 1:
        raise ConfigError(f"opinions.max_rejected_share: must be 0..1, found {config.opinions.max_rejected_share}")
    return config
