"""DICOM files: see `lakehouse.media.dicom` for the rules by which they are judged."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.config import Config
from lakehouse.media.dicom import IS_READ, MEDIA_TYPE, PROBE_VERSION, probe_dicom
from lakehouse.media.kinds.kind import MediaKind
from lakehouse.media.limits import DicomLimits
from lakehouse.media.sniff import Data, claimed_among, sniff_among
from lakehouse.media.view import EntityView
from loaders.format.fields import Field

TYPES = (MEDIA_TYPE,)


def _sniff(data: Data) -> str | None:
    return sniff_among(TYPES, data) if IS_READ else None


def _claims(name: str) -> str | None:
    return claimed_among(TYPES, name) if IS_READ else None


def _limits(config: Config) -> DicomLimits:
    return DicomLimits(max_bytes=config.dicom.max_bytes, max_pixels=config.dicom.max_pixels)


def _view(data: bytes, media_type: str, limits: DicomLimits) -> EntityView:
    return EntityView(data, media_type=media_type)


DICOM = MediaKind(
    name="dicom",
    prefix=MEDIA_TYPE,
    sniff=_sniff,
    claims=_claims,
    version=PROBE_VERSION,
    probe=probe_dicom,
    limits=_limits,
    view=_view,
    sample=Field("dicom", pa.binary(), doc="The DICOM file as it was landed; no decoder of ours reads it."),
    limited={"too_large": "max_bytes", "too_many_pixels": "max_pixels"},
)
