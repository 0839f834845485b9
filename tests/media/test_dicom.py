"""DICOM files: what the header says of the picture and nothing of people, and what is refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.errors import RejectedInputError
from lakehouse.extractors.dicom_header import measure_dicom
from lakehouse.media import dicom
from lakehouse.media.kinds.dicom import DICOM
from lakehouse.media.limits import DicomLimits
from lakehouse.media.view import EntityView
from lakehouse.query import fetch
from tests.ingestion.files import put, source

pydicom = pytest.importorskip("pydicom")

EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"
CT = "1.2.840.10008.5.1.4.1.1.2"
SEQUENCE = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"


def made(syntax: str = EXPLICIT, *, rows: int = 8, pixels: int = 48, without: str = "") -> bytes:
    """A slice of 8 x 6 pixels of 16 bits."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = CT, "1.2.3", syntax
    said = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    said.SOPClassUID, said.SOPInstanceUID = CT, "1.2.3"
    said.PatientName, said.PatientID, said.Modality = "Doe^Jane", "4711", "CT"
    said.Rows, said.Columns, said.SamplesPerPixel, said.PixelRepresentation = rows, 6, 1, 0
    said.BitsAllocated, said.BitsStored, said.HighBit, said.PhotometricInterpretation = 16, 12, 11, "MONOCHROME2"
    said.PixelSpacing, said.SliceThickness = [0.5, 0.7], 2
    said.StudyDate, said.StudyTime, said.TimezoneOffsetFromUTC = "20240102", "030405.5", "+0200"
    item = pydicom.Dataset()
    item.Modality = "MR"
    said.ReferencedStudySequence = [item]
    packed = syntax == JPEG
    said.PixelData = encapsulate([b"\xff\xd8ab\xff\xd9"]) if packed else np.arange(pixels, dtype=np.uint16).tobytes()
    said["PixelData"].is_undefined_length = packed
    if without:
        del said[without]
    file = io.BytesIO()
    said.save_as(file, enforce_file_format=True)
    return file.getvalue()


def rule_of(data: bytes, *, name: str = "a.dcm", limits: DicomLimits | None = None) -> str:
    with pytest.raises(RejectedInputError) as caught:
        dicom.probe_dicom(data, name=name, limits=limits or DicomLimits())
    return caught.value.rule


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, JPEG])
def test_a_picture_is_measured_as_its_header_says(syntax):
    data = made(syntax)
    facts = dicom.probe_dicom(data, name="a.dcm")
    assert facts.captured_at == datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert measure_dicom(EntityView(data, media_type=dicom.MEDIA_TYPE)) == {
        "dicom_modality": "CT", "dicom_rows": 8, "dicom_columns": 6, "dicom_frames": 1, "dicom_samples": 1,
        "dicom_bits": 12, "dicom_photometric": "MONOCHROME2", "dicom_transfer_syntax": syntax,
        "dicom_is_packed": syntax == JPEG, "dicom_row_spacing_mm": 0.5, "dicom_column_spacing_mm": 0.7,
        "dicom_slice_thickness_mm": 2.0, "dicom_captured_at": facts.captured_at,
    }  # fmt: skip
    assert "Doe" not in repr(facts)


def test_what_is_stated_of_size_and_time_and_is_none_is_not_stated_and_costs_no_picture():
    data = made()
    assert b"0.5\\0.7 " in data
    for said in (b"nan\\0.7 ", b"   \\    "):
        facts = dicom.probe_dicom(data.replace(b"0.5\\0.7 ", said), name="a.dcm")
        assert (facts.rows, facts.spacing_mm) == (8, None)
    early = data.replace(b"20240102", b"00010101").replace(b"+0200", b"+1200")
    assert dicom.probe_dicom(early, name="a.dcm").captured_at is None


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, JPEG])
def test_every_cut_is_refused(syntax):
    data = made(syntax)
    # Up to the class of the picture, which the header states first, it might be anything that has no pixels.
    start = data.rindex(CT.encode()) + len(CT) + 1
    rules = {rule_of(data[:end]) for end in range(start, len(data))}
    assert rules <= {"truncated", "undecodable"}


def test_what_lies_or_is_hostile_is_refused_with_a_rule():
    assert rule_of(made(rows=9)) == "truncated"
    assert rule_of(made(without="PixelData")) == "truncated"
    assert rule_of(made(rows=60_000)) == "truncated"
    assert rule_of(made(), limits=DicomLimits(max_pixels=47)) == "too_many_pixels"
    assert rule_of(made(DEFLATED)) == "unsupported_media"
    assert rule_of(made(), name="a.png") == "extension_mismatch"
    assert rule_of(b"no preamble at all, but quite some text") == "extension_mismatch"
    assert rule_of(b"") == "empty"
    head = made()[:-112]
    head = head[: head.index(b"\x08\x00\x60\x00")]
    assert rule_of(head + SEQUENCE * 100_000) == "undecodable"  # in one another
    assert rule_of(head + bytes(5 << 20)) in ("undecodable", "unsupported_media")


def test_a_lake_takes_them_and_knows_nobody(lake, tmp_path):
    put(tmp_path / "drop", "a.dcm", made())
    put(tmp_path / "drop", "cut.dcm", made()[:-1])
    lh.land(lake, source(tmp_path / "drop"))
    assert lh.entities(lake).counts == {"seen": 2, "stored": 1, "duplicate": 0, "rejected": 1}
    lh.dimensions(lake)
    (row,) = fetch(lake, "select media_type, dicom_modality, dicom_rows from entities_wide")
    assert row == {"media_type": "application/dicom", "dicom_modality": "CT", "dicom_rows": 8}
    assert not fetch(lake, "select 1 as x from silver.dimensions where contains(text, 'Doe') or text = '4711'")


def test_without_the_library_it_is_of_no_kind(monkeypatch):
    from lakehouse.media.kinds import dicom as kind

    assert DICOM.sniff(made()) == dicom.MEDIA_TYPE
    monkeypatch.setattr(kind, "IS_READ", False)
    assert DICOM.sniff(made()) is None
    assert DICOM.claims("a.dcm") is None
