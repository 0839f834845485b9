"""Which properties exist and what measures them: the built-in extractors and those that installed packages bring.

A package adds one with an entry point of group `petrel.extractors` that names an `Extractor`:

    [project.entry-points."petrel.extractors"]
    blur = "my_package.blur:EXTRACTOR"
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from lakehouse.errors import ConfigError
from lakehouse.extractors.array_values import ARRAY_VALUES
from lakehouse.extractors.audio_header import AUDIO_HEADER
from lakehouse.extractors.audio_signal import AUDIO_SIGNAL
from lakehouse.extractors.audio_spectrum import AUDIO_SPECTRUM
from lakehouse.extractors.dicom_header import DICOM_HEADER
from lakehouse.extractors.extractor import Dimension, Extractor
from lakehouse.extractors.image_header import IMAGE_HEADER
from lakehouse.extractors.image_likeness import IMAGE_LIKENESS
from lakehouse.extractors.image_noise import IMAGE_NOISE
from lakehouse.extractors.image_pixels import IMAGE_PIXELS
from lakehouse.extractors.points_header import POINTS_HEADER
from lakehouse.extractors.text_likeness import TEXT_LIKENESS
from lakehouse.extractors.text_statistics import TEXT_STATISTICS
from lakehouse.extractors.video_content import VIDEO_CONTENT
from lakehouse.extractors.video_cut import VIDEO_CUT
from lakehouse.extractors.video_header import VIDEO_HEADER
from lakehouse.names import nearest
from lakehouse.plugins import installed

ENTRY_POINTS = "petrel.extractors"


def extractors(names: Iterable[str] | None = None) -> tuple[Extractor, ...]:
    """Return the extractors, built-in ones first, then those of installed packages by name.

    Args:
        names: Only these, in this order; None means all.

    Raises:
        ConfigError: If a name is not known, an entry point cannot be loaded, or two extractors clash.
    """
    known = {each.name: each for each in _registered()}
    if names is None:
        return tuple(known.values())
    chosen = []
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown extractor `{name}`{nearest(name, known)}")
        chosen.append(known[name])
    return tuple(chosen)


def all_dimensions() -> tuple[Dimension, ...]:
    """Return every dimension of every extractor; names are distinct."""
    return tuple(dimension for extractor in extractors() for dimension in extractor.dimensions)


def check_distinct(chosen: Iterable[Extractor]) -> tuple[Extractor, ...]:
    """Return the extractors if no two share a name or a dimension.

    Raises:
        ConfigError: Naming both sides of a clash.
    """
    names: set[str] = set()
    owners: dict[str, str] = {}
    result = tuple(chosen)
    for extractor in result:
        if extractor.name in names:
            raise ConfigError(f"two extractors are called `{extractor.name}`; rename one, or uninstall its package")
        names.add(extractor.name)
        for dimension in extractor.dimensions:
            owner = owners.setdefault(dimension.name, extractor.name)
            if owner != extractor.name:
                raise ConfigError(
                    f"extractors `{owner}` and `{extractor.name}` both measure `{dimension.name}`; rename one of them"
                )
        if len({dimension.name for dimension in extractor.dimensions}) < len(extractor.dimensions):
            raise ConfigError(f"extractor `{extractor.name}` names a dimension twice")
    return result


@lru_cache(maxsize=1)
def _registered() -> tuple[Extractor, ...]:
    own = (
        IMAGE_HEADER, IMAGE_PIXELS, IMAGE_LIKENESS, IMAGE_NOISE, AUDIO_HEADER, AUDIO_SIGNAL, AUDIO_SPECTRUM,
        VIDEO_HEADER, VIDEO_CONTENT, VIDEO_CUT, ARRAY_VALUES, POINTS_HEADER, DICOM_HEADER, TEXT_STATISTICS,
        TEXT_LIKENESS,
    )  # fmt: skip
    return check_distinct((*own, *installed(ENTRY_POINTS, Extractor)))
