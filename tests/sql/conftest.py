"""A lake with two entities, three opinions and a file beside it that nobody may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.making import add_dimension, add_entities, add_opinions, opinion, small_lake


@pytest.fixture(scope="module")
def lake_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the lake."""
    root = tmp_path_factory.mktemp("sql") / "a lake é 'q'"  # characters that paths get wrong
    with small_lake(root) as lake:
        add_entities(lake, ["one", "two", "été"], groups={"one": {"session": "a"}})
        add_dimension(lake, "width", {"one": 10, "two": 20}, kind="integer", extractor="image_header")
        add_opinions(lake, [opinion("one", "human:ann", "cat"), opinion("one", "human:bob", "dog"),
                            opinion("two", "human:ann", "dog", votes=2)])
    return root
