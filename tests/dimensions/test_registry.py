"""One place knows every extractor, its own and those of installed packages; clashes are errors that name both sides."""

from __future__ import annotations

import re

import pytest

from lakehouse.errors import ConfigError
from lakehouse.extractors.extractor import Dimension
from lakehouse.extractors.registry import all_dimensions, check_distinct, extractors
from lakehouse.views.registry import view_texts
from tests.dimensions.samples import ASPECT_RATIO, FIRST_BYTE, extractor


def test_the_built_in_extractors_and_their_dimensions():
    names = (
        "image_header image_pixels image_likeness image_noise audio_header audio_signal audio_spectrum video_header "
        "video_content video_cut array_values points_header dicom_header text_statistics text_likeness"
    )
    keys = [f"{name}@1" for name in names.split()]
    assert [each.key for each in extractors()] == keys
    assert [each.name for each in all_dimensions()] == [
        "width", "height", "channels", "bits", "mode", "format", "bytes", "frames", "is_animated",
        "exif_orientation", "exif_captured_at",
        "brightness", "contrast", "sharpness", "colourfulness", "entropy", "dhash", "phash", "edge_hash", "noise",
        "sample_rate_hz", "audio_channels", "duration_ms", "audio_bits", "audio_subtype",
        "audio_rms", "audio_peak", "audio_silence_share", "audio_clipping_share",
        "audio_loudness_lufs", "audio_centroid_hz", "audio_rolloff_hz", "audio_fingerprint",
        "video_width", "video_height", "video_rotation", "video_container", "video_codec", "video_pixel_format",
        "video_bits", "video_frame_rate", "video_frame_rate_exact", "video_is_variable_rate", "video_frames",
        "video_keyframes", "video_duration_s", "video_audio_codec", "video_audio_rate_hz", "video_audio_channels",
        "video_captured_at", "video_sampled_frames", "video_sampling_s", "video_brightness", "video_sharpness",
        "video_motion", "video_scene_cuts", "frame_index", "frame_time_s", "frame_count", "frame_width", "frame_height",
        "array_dtype", "array_axes", "array_shape", "array_values", "array_is_column_major", "array_nan_share",
        "array_infinite_share", "array_zero_share", "array_min", "array_max", "array_mean", "array_std",
        "points_count", "points_fields", "points_coding", "points_extent_x", "points_extent_y", "points_extent_z",
        "points_broken_share", "dicom_modality", "dicom_rows", "dicom_columns", "dicom_frames", "dicom_samples",
        "dicom_bits", "dicom_photometric", "dicom_transfer_syntax", "dicom_is_packed", "dicom_row_spacing_mm",
        "dicom_column_spacing_mm", "dicom_slice_thickness_mm", "dicom_captured_at",
        "text_coding", "text_characters", "text_words", "text_lines", "text_letter_share", "text_digit_share",
        "text_space_share", "text_upper_share", "text_non_ascii_share", "text_entropy", "text_compression",
        "text_word_length", "text_script", "text_script_share", "text_simhash", "text_minhash",
    ]


def test_every_dimension_is_documented():
    for dimension in all_dimensions():
        assert dimension.doc.endswith("."), dimension.name
        assert (dimension.unit is not None) == (dimension.kind in ("integer", "number")), dimension.name


def test_extractors_can_be_chosen_by_name():
    assert [each.name for each in extractors(["image_pixels"])] == ["image_pixels"]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="unknown extractor `image_pixel`; did you mean `image_pixels`"):
        extractors(["image_pixel"])


def test_an_installed_package_adds_an_extractor_and_a_column_of_the_wide_view(install):
    install(shape="tests.dimensions.samples:ASPECT_RATIO")

    assert extractors()[-1] is ASPECT_RATIO
    assert "as aspect" in view_texts()["entities_wide"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:X", "cannot be loaded: ModuleNotFoundError"),
        ("tests.dimensions.samples:NO_SUCH_NAME", "cannot be loaded: AttributeError"),
        ("tests.dimensions.samples:FIRST_BYTE", "expected an Extractor of lakehouse.extractors, found Dimension"),
    ],
)
def test_a_broken_entry_point_is_named(install, value, message):
    install(shape=value)

    with pytest.raises(ConfigError, match=re.escape(f"entry point shape = {value} of ")) as caught:
        extractors()
    assert message in str(caught.value)


def test_two_extractors_of_one_name_clash():
    other = Dimension("other", "text", "Another.")

    with pytest.raises(ConfigError, match="two extractors are called `mine`"):
        check_distinct([extractor(), extractor(dimensions=(other,))])


def test_two_extractors_of_one_dimension_clash():
    with pytest.raises(ConfigError, match="`mine` and `yours` both measure `first_byte`"):
        check_distinct([extractor(), extractor(name="yours")])


def test_an_extractor_names_a_dimension_once():
    with pytest.raises(ConfigError, match="names a dimension twice"):
        check_distinct([extractor(dimensions=(FIRST_BYTE, FIRST_BYTE))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Mine"}, "a name is a-z, 0-9 and _"),
        ({"name": "mine'; drop table x"}, "a name is a-z, 0-9 and _"),
        ({"version": 0}, "versions count from 1"),
        ({"dimensions": ()}, "at least one dimension"),
        ({"media_types": ()}, "one media type"),
    ],
)
def test_an_extractor_that_cannot_be_is_refused_where_it_is_made(change, message):
    with pytest.raises(ConfigError, match=message):
        extractor(**change)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("Width", "integer", "a name is a-z, 0-9 and _"),
        ("a" * 64, "integer", "at most 63 long"),
        ("captured_at", "timestamp", "`entities_wide` has such a column already"),
        ("mine", "float", "unknown kind `float`"),
    ],
)
def test_a_dimension_that_cannot_be_is_refused_where_it_is_made(name, kind, message):
    with pytest.raises(ConfigError, match=message):
        Dimension(name, kind, "A doc.")
