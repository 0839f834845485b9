"""The dimensions of one file that is in no lake, measured by the same code: a service sees what training saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config import Config
from lakehouse.dimensions.extract import measure_view
from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.extractors.extractor import Extractor, Value
from lakehouse.extractors.registry import check_distinct
from lakehouse.extractors.registry import extractors as registered
from lakehouse.media.kinds.kind import UNKNOWN
from lakehouse.media.kinds.registry import judges_of
from lakehouse.media.view import EntityView


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """What is measured about a file.

    Attributes:
        media_type: Found in its bytes.
        values: Dimension -> value, as in `entities_wide`; None where it has none.
        rejected: Extractor, as `name@version` -> why it has no values.
    """

    media_type: str
    values: Mapping[str, Value]
    rejected: Mapping[str, str]


def measure(
    file: str | Path | bytes,
    *,
    name: str = "",
    config: Config | None = None,
    extractors: Iterable[Extractor] | None = None,
) -> MeasuredFile:
    """Measure one file as `dimensions` measures entities.

    Args:
        file: Its path, or its bytes.
        name: Its name, where bytes are given: an ending that its bytes belie is told.
        config: Limits of the kinds of media; None takes the defaults.
        extractors: Who measures; None means everyone in the registry who measures such files.

    Raises:
        RejectedInputError: If `entities` would reject it: empty, cut off, larger than the limits ...
        IngestError: If it cannot be read.
    """
    view = view_of_file(file, name=name, config=config)
    chosen = registered() if extractors is None else check_distinct(extractors)
    values: dict[str, Value] = {}
    rejected: dict[str, str] = {}
    fitting = [each for each in chosen if each.measures(view.media_type)]
    for extractor, found in measure_view(view, fitting):
        if isinstance(found, RejectedInputError):
            rejected[extractor.key] = found.reason
        else:
            values |= zip((each.name for each in extractor.dimensions), found, strict=True)
    return MeasuredFile(view.media_type, values, rejected)


def view_of_file(file: str | Path | bytes, *, name: str = "", config: Config | None = None) -> EntityView:
    """Return what measures see of a file that is in no lake; see `measure`.

    Raises:
        RejectedInputError: If `entities` would reject it.
        IngestError: If it cannot be read.
    """
    data = file if isinstance(file, bytes) else _read(Path(file))
    name = name or ("" if isinstance(file, bytes) else Path(file).name)
    judges = judges_of(Config() if config is None else config)
    kind = judges.kind_of(data, name)
    if kind is not None and len(data) > judges.limits[kind.name].max_bytes:
        raise RejectedInputError("too_large", f"{len(data)} bytes, limit {judges.limits[kind.name].max_bytes}")
    media_type = UNKNOWN
    if kind is not None:
        media_type = kind.probe(data, name=name, limits=judges.limits[kind.name]).media_type
    return judges.view(data, media_type)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IngestError(f"{path}: cannot be read ({error.strerror}); give the path of a file") from error
