"""dicom_header: what the header of a DICOM file says of its picture; nothing of people."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.dicom import MEDIA_TYPE, probe_dicom
from lakehouse.media.view import EntityView


def measure_dicom(view: EntityView) -> Mapping[str, Value]:
    """Return the values of `DICOM_HEADER` for one file.

    Raises:
        RejectedInputError: If it is none, or damaged.
    """
    facts = probe_dicom(view.data, name="")
    found: dict[str, Value] = {"dicom_transfer_syntax": facts.transfer_syntax, "dicom_is_packed": facts.is_packed}
    if facts.modality:
        found["dicom_modality"] = facts.modality
    if facts.frames:
        found |= {
            "dicom_rows": facts.rows, "dicom_columns": facts.columns, "dicom_frames": facts.frames,
            "dicom_samples": facts.samples, "dicom_bits": facts.bits, "dicom_photometric": facts.photometric,
        }  # fmt: skip
    if facts.spacing_mm is not None:
        found |= {"dicom_row_spacing_mm": facts.spacing_mm[0], "dicom_column_spacing_mm": facts.spacing_mm[1]}
    if facts.thickness_mm is not None:
        found["dicom_slice_thickness_mm"] = facts.thickness_mm
    if facts.captured_at is not None:
        found["dicom_captured_at"] = facts.captured_at
    return found


_PIXELS = "No value: no pixels."

DICOM_HEADER = Extractor(
    name="dicom_header",
    version=1,
    media_types=(MEDIA_TYPE,),
    function=measure_dicom,
    dimensions=(
        Dimension("dicom_modality", "text", "What made it: CT, MR, US, DX ... No value: not stated."),
        Dimension("dicom_rows", "integer", f"Rows of a frame. {_PIXELS}", "px"),
        Dimension("dicom_columns", "integer", f"Columns of a frame. {_PIXELS}", "px"),
        Dimension("dicom_frames", "integer", f"Frames, at least 1. {_PIXELS}", "1"),
        Dimension("dicom_samples", "integer", f"Samples of a pixel: 1 grey, 3 colour. {_PIXELS}", "1"),
        Dimension("dicom_bits", "integer", f"Bits that a sample uses. {_PIXELS}", "bits"),
        Dimension("dicom_photometric", "text", f"MONOCHROME1 (white is least), MONOCHROME2, RGB ... {_PIXELS}"),
        Dimension("dicom_transfer_syntax", "text", "UID of how it is coded."),
        Dimension("dicom_is_packed", "boolean", "Whether pixels are packed, as JPEG or otherwise."),
        Dimension("dicom_row_spacing_mm", "number", "From row to row. No value: not stated.", "mm"),
        Dimension("dicom_column_spacing_mm", "number", "From column to column. No value: not stated.", "mm"),
        Dimension("dicom_slice_thickness_mm", "number", "Of the slice. No value: not stated.", "mm"),
        Dimension("dicom_captured_at", "timestamp", "When it was acquired, UTC; the machine's wall clock where it "
                  "states no offset. No value: not stated, or not a date."),
    ),
)  # fmt: skip
"""Version 1."""
