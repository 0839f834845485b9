"""Writing a card: to files, or beside the version that is published."""

from __future__ import annotations

from pathlib import Path

from lakehouse.cards.facts import Card
from lakehouse.cards.page import card_markdown, card_page
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.materialise.published import published_files
from loaders.format.manifest import CARDS, DATASET
from loaders.stores.files import write_durably
from loaders.stores.storage import exists_in


def write_card(card: Card, *, html: Path | None = None, markdown: Path | None = None) -> list[Path]:
    """Write a card; a file that is there is replaced, whole or not at all. Return the files."""
    wanted = [(path, make) for path, make in ((html, card_page), (markdown, card_markdown)) if path is not None]
    for path, make in wanted:
        write_durably(path, make(card).encode())
    return [path for path, _ in wanted]


def write_beside(lake: Lake, card: Card) -> list[str]:
    """Write a card into the folder of the version that is published, as page and Markdown; return their names.

    Raises:
        RecipeError: If the version is not published.
    """
    version = card.version.version
    folder = f"datasets/{version.name}/{version.dataset_id}"
    files = published_files(lake.home, folder)
    if not exists_in(files, DATASET):
        raise RecipeError(
            f"dataset {version.name} ({version.dataset_id}) is not published; run `petrel materialise --dataset "
            f"{version.dataset_id}` first, or write its card to a file: --html, --md"
        )
    for name, text in zip(CARDS, (card_page(card), card_markdown(card)), strict=True):
        files.put(name, text.encode())
    return [f"{folder}/{name}" for name in CARDS]
