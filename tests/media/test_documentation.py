"""The tables of docs/media.md are those of the code: kinds and their fields, dimensions with unit and null."""

from __future__ import annotations

from pathlib import Path

from lakehouse.extractors.registry import extractors
from lakehouse.media.kinds.registry import kind_of_type, media_kinds

PAGE = Path(__file__).resolve().parents[2] / "docs" / "media.md"


def dimension_rows() -> list[str]:
    """Rows of the table of dimensions."""
    rows = []
    for extractor in extractors():
        kind = kind_of_type(media_kinds(), extractor.media_types[0])
        assert kind is not None
        for dimension in extractor.dimensions:
            doc, _, none = dimension.doc.partition(" No value: ")
            what = f"`{dimension.name}`: {doc.removesuffix('.')}"
            rows.append(f"| {kind.name} | {what} | {dimension.unit or ''} | {none.removesuffix('.')} |")
    return rows


def test_every_dimension_stands_in_the_page_as_it_is():
    page = PAGE.read_text(encoding="utf-8")
    start = page.index("| kind | dimension |")
    table = page[start : page.index("\n\n", start)].splitlines()[2:]
    assert table == dimension_rows()


def test_every_kind_stands_in_the_page_with_its_field():
    table = PAGE.read_text(encoding="utf-8").partition("\n## ")[0].splitlines()
    for kind in media_kinds():
        (row,) = [line for line in table if line.startswith(f"| {kind.name} |")]
        assert f"| `{kind.sample.name}` |" in row


if __name__ == "__main__":
    print("\n".join(dimension_rows()))  # noqa: T201
