"""Names of folders: every label comes back from its own, and none is taken for another on any file system."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import ConfigError
from lakehouse.exporting.names import file_of, folders_of


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("cat", "cat"), ("Golden Retriever", "Golden Retriever"), ("café", "café"), ("a/b", "a%2Fb"), ("..", "%2E%2E"),
        (".x", "%2Ex"), ("x.", "x%2E"), (" x ", "%20x%20"), ("_export.json", "%5Fexport.json"), ("50%", "50%25"),
        ("a\nb", "a%0Ab"), ("a.b_c", "a.b_c"), ("\u202ex", "%E2%80%AEx"),
    ],
)  # fmt: skip
def test_a_label_is_its_own_name_but_for_what_cannot_stand_in_one(label, name):
    assert folders_of([label]) == {label: name}


def test_labels_that_a_file_system_takes_for_one_get_names_of_their_own():
    found = folders_of(["Cat", "cat", "e\u0301", "\u00e9", "dog"])
    assert found == {
        "Cat": "%43at", "cat": "cat", "e\u0301": "e%CC%81", "\u00e9": "%C3%A9", "dog": "dog",
    }  # fmt: skip


@given(st.lists(st.text(min_size=1, max_size=20), max_size=8))
def test_every_label_comes_back_and_no_two_names_are_alike(labels):
    found = folders_of(labels)
    assert {unquote(name): label for label, name in found.items()} == {label: label for label in labels}
    assert len({unicodedata.normalize("NFC", name).casefold() for name in found.values()}) == len(found)
    assert not any(set(name) & set("/\\\0:") or name[0] in "._ " or name[-1] in ". " for name in found.values())


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(ConfigError, match="is 300 bytes long as the name of a folder"):
        folders_of(["é" * 150])


@pytest.mark.parametrize(
    ("media_type", "ending"),
    [("image/jpeg", "jpg"), ("audio/wav", "wav"), ("application/octet-stream", "bin"), ("text/plain", "txt")],
)
def test_a_file_is_called_by_its_entity_and_kind(media_type, ending):
    assert file_of("ab" * 32, media_type) == f"{'ab' * 32}.{ending}"
