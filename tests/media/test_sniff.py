"""What first bytes are, and what names claim."""

from __future__ import annotations

import pytest

from lakehouse.media.sniff import claimed, is_start_of, sniff


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x10\0\0\0????", None),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"\0\0\0\x20ftypheic", "image/heic"),
        (b"\0\0\0\x20ftypmp42", "video/mp4"),
        (b"P6\n2 2\n255\n", "image/x-portable-anymap"),
        (b"P6ter is a name", "text/plain"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "image/bmp"),
        (b"BM is how this text begins", "text/plain"),
        (b'{"a": 1}', "application/json"),
        (b"\xef\xbb\xbf<!doctype HTML>", "text/html"),
        (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "text/xml"),
        ("Grüße".encode(), "text/plain"),
        (b"\xe9t\xe9", None),
        (b"\0\0\0", None),
        (b"", None),
    ],
)
def test_the_first_bytes_name_the_type(head, media_type):
    assert sniff(head) == media_type


def test_text_is_known_though_the_head_ends_inside_a_character():
    assert sniff("é".encode() * 5000) == "text/plain"
    assert sniff(b"a" + "é".encode() * 5000) == "text/plain"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.png", "image/png"), ("A.JPG", "image/jpeg"), ("a.tar.gz", "application/gzip"), ("png", None), (".png", None),
     ("a.", None), ("a.unheard", None)],
)
def test_an_extension_claims_a_type(name, media_type):
    assert claimed(name) == media_type


def test_only_a_part_of_the_signature_is_a_start():
    assert is_start_of(b"\x89PN", "image/png")
    assert not is_start_of(b"GIF", "image/png")
