"""A card as one HTML file and as Markdown; everything from data stands in them as text."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from lakehouse.cards.facts import Card
from lakehouse.cards.outline import Bars, Code, Part, Table, outline
from lakehouse.cards.samples import Sample
from lakehouse.pages.document import document, sentence, table
from lakehouse.pages.plots import bars, wave

_MARKS = re.compile(r"([\\`*_\[\]|#~!])")
BLOCKS = 24
"""Characters of the longest bar in Markdown."""


def card_page(card: Card) -> str:
    """Return the card as HTML: no script, nothing from a network."""
    parts = [part for title, said in outline(card) for part in (f"<h2>{escape(title)}</h2>", *map(_html, said))]
    if card.samples:
        parts += ["<h2>Some of its members</h2>", f'<div class="grid">{"".join(map(_figure, card.samples))}</div>']
    version = card.version.version
    return document(f"{version.name}: dataset {version.dataset_id[:12]}", parts)


def card_markdown(card: Card) -> str:
    """Return the card as Markdown, its samples as a list: their pictures stand in the page."""
    version = card.version.version
    lines = [f"# {_text(version.name)}: dataset {version.dataset_id[:12]}", ""]
    for title, said in outline(card):
        lines += [f"## {title}", ""]
        for part in said:
            lines += [*_markdown(part), ""]
    if card.samples:
        rows = [(each.entity_id, each.split, each.label, each.media_type, each.size_bytes) for each in card.samples]
        lines += ["## Some of its members", "",
                  *_table(["entity", "split", "label", "media type", "bytes"], rows), ""]  # fmt: skip
    return "\n".join(lines).rstrip("\n") + "\n"


def _html(part: Part) -> str:
    if isinstance(part, Table):
        return table(part.head, part.rows)
    if isinstance(part, Bars):
        title = sentence(part.title) if part.title else ""
        return f'{title}<div class="wide">{bars({name: float(n) for name, n in part.values.items()})}</div>'
    if isinstance(part, Code):
        return f"<pre>{escape(part.text)}</pre>"
    return sentence(part)


def _figure(sample: Sample) -> str:
    if sample.picture is not None:
        seen = _picture(sample, f"data:image/jpeg;base64,{base64.b64encode(sample.picture).decode()}")
    elif sample.wave:
        seen = wave(sample.wave)
    else:
        seen = f"<pre>{escape(sample.text)}</pre>" if sample.text else f"<p>{escape(sample.problem)}</p>"
    length = "" if sample.seconds is None else f", {sample.seconds:.2f} s"
    said = f"{'' if sample.label is None else f'{sample.label}, '}{sample.split}{length}"
    return f"<figure>{seen}<figcaption>{escape(said)}<br>{sample.entity_id[:12]}</figcaption></figure>"


def _picture(sample: Sample, address: str) -> str:
    """Return a picture, with its regions as boxes on it."""
    if not sample.boxes:
        return f'<img alt="" src="{address}">'
    width, height = sample.size_px
    drawn = "".join(
        f'<rect x="{each.x:.1f}" y="{each.y:.1f}" width="{each.w:.1f}" height="{each.h:.1f}" class="box" '
        f'transform="rotate({each.angle:.2f} {each.x + each.w / 2:.1f} {each.y + each.h / 2:.1f})">'
        f"<title>{escape(each.label)}</title></rect>"
        for each in sample.boxes
    )
    picture = f'<image href="{address}" width="{width}" height="{height}"/>'
    return f'<svg class="seen" viewBox="0 0 {width} {height}" role="img">{picture}{drawn}</svg>'


def _markdown(part: Part) -> Iterator[str]:
    if isinstance(part, Table):
        yield from _table(part.head, part.rows)
    elif isinstance(part, Bars):
        if part.title:
            yield from (_text(part.title), "")
        most = max(part.values.values(), default=0) or 1
        drawn = [(name, count, "█" * round(BLOCKS * count / most)) for name, count in part.values.items()]
        yield from _table(["", "members", ""], drawn)
    elif isinstance(part, Code):
        fence = "`" * max(3, 1 + max((len(each) for each in re.findall("`+", part.text)), default=0))
        yield from (fence, *part.text.split("\n"), fence)
    else:
        yield _text(part)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    rows = list(rows)
    yield f"| {' | '.join(_text(name) for name in head)} |"
    right = [bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(head))]
    yield f"|{'|'.join('---:' if each else '---' for each in right)}|"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else _text("" if value is None else str(value))


def _text(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return _MARKS.sub(r"\\\1", escape(" ".join(text.split()), quote=False))
