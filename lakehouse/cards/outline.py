"""What a card says in words, once for its page and its Markdown: sections of sentences, tables and bars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lakehouse.cards.facts import MOST_ROWS, Card


@dataclass(frozen=True, slots=True)
class Table:
    """A table: names of its columns, rows of values."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Bars:
    """Numbers by name, to be drawn; a title where there is one."""

    values: Mapping[str, int]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they are."""

    text: str


Part = str | Table | Bars | Code
"""A text is a sentence."""


def outline(card: Card) -> Iterator[tuple[str, list[Part]]]:
    """Yield title and parts of each section that says something, but for the samples."""
    version = card.version.version
    yield "What is in it", _contents(card)
    if card.labels:
        yield "Classes", _classes(card.labels, "members")
    if card.regions:
        yield "Regions by class", _classes(card.regions, "regions")
    if len(card.strata) > 1 or any(row["stratum"] for row in card.strata):
        rows = [(row["stratum"], row["members"], row["least_weight"], row["most_weight"]) for row in card.strata]
        parts: list[Part] = [Bars({row["stratum"]: row["members"] for row in card.strata[:MOST_ROWS]})]
        weighted = any(row[2] != 1 or row[3] != 1 for row in rows)
        yield "Strata", [*parts, *([Table(["stratum", "members", "least weight", "most weight"], rows[:MOST_ROWS])]
                                   if weighted else []), *_more(len(rows), "strata")]  # fmt: skip
    if card.dimensions:
        yield "Dimensions that the recipe reads", list(_dimensions(card))
    if card.answers is not None:
        yield "Where the answers come from", _answers(card)
    yield "Known gaps", _gaps(card)
    yield "Duplicates and leak groups", _groups(card)
    licences = [(row["licence"] or "not stated", row["source"], row["members"]) for row in card.licences]
    yield "Licences", [Table(["licence", "source", "members"], licences) if licences else "No source is recorded."]
    yield "How to load it", [
        f"Publish it once with `petrel materialise --dataset {version.dataset_id}`; then, in the folder of the lake:",
        Code("\n".join(card.load)),
    ]
    yield "Recipe", [Code(json.dumps(version.recipe, indent=2, sort_keys=True, ensure_ascii=False))]
    yield "What it was read from", [
        Table(["table", "version"], sorted(card.version.pins.items())),
        Table(["contract", "version"], sorted(version.contracts.items())),
        f"Digest of the members: {version.members_digest}",
    ]


def _contents(card: Card) -> list[Part]:
    version = card.version.version
    told = [("dataset", version.name), ("version", version.dataset_id), ("members", version.members),
            ("left out", sum(row["entities"] for row in card.excluded)), ("bytes", card.bytes),
            ("built", card.version.built_at.isoformat(timespec="seconds")),
            ("built by", card.version.built_by or "not stated")]  # fmt: skip
    told += [("variants among the members", card.variants)] if card.variants else []
    told += [("stored as", card.stored_as)] if card.stored_as else []
    media = [(row["media_type"], row["members"], row["bytes"], row["smallest"], row["largest"]) for row in card.media]
    return [
        Table(["", ""], told),
        Table(["media type", "members", "bytes", "smallest", "largest"], media),
        Bars(dict(version.splits), "Members by split"),
    ]


def _classes(labels: Mapping[str, Mapping[str, int]], what: str) -> list[Part]:
    splits = sorted({split for each in labels.values() for split in each})
    rows = [[label, *(counts.get(split, 0) for split in splits), sum(counts.values())]
            for label, counts in labels.items()]  # fmt: skip
    totals = {label: sum(counts.values()) for label, counts in list(labels.items())[:MOST_ROWS]}
    return [Bars(totals), Table(["label", *splits, what], rows[:MOST_ROWS]), *_more(len(rows), "classes")]


def _dimensions(card: Card) -> Iterator[Part]:
    for each in card.dimensions:
        unit = "" if each.unit in (None, "1") else f" [{each.unit}]"
        spread = "" if each.low is None else f"; {each.low:.4g} to {each.high:.4g}, median {each.median:.4g}"
        missing = f"; {each.missing:,} members have none" if each.missing else ""
        rest = f"; {each.rest:,} members have another value" if each.rest else ""
        yield Bars(dict(each.bars), f"{each.dimension}{unit}, by {each.extractor}{spread}{missing}{rest}")
    if card.more_dimensions:
        yield f"The recipe reads {card.more_dimensions} dimensions more."


def _answers(card: Card) -> list[Part]:
    told = card.answers
    if told is None:
        return []
    rows = [(row["actor_id"], row["kind"], row["opinions"], row["members"]) for row in told.actors]
    parts: list[Part] = [
        f"Question {told.question}, answers of kind {told.kind}.",
        Table(["actor", "kind", "opinions", "members"], rows),
    ]
    if told.more_actors:
        parts.append(f"{told.more_actors:,} actors more.")
    parts.append(Bars({f"{number:,}": count for number, count in told.answers}, "Members by answers heard about each"))
    unanimous = "no member has two answers" if told.unanimous is None else f"{told.unanimous:.1%}"
    parts.append(f"Share of members with several answers on which all agree: {unanimous}.")
    value = f"none: {told.reason}" if told.alpha is None else f"{told.alpha:.4f}"
    parts.append(f"Krippendorff's alpha ({told.level}): {value}.")
    return parts


def _gaps(card: Card) -> list[Part]:
    parts: list[Part] = []
    if card.short:
        rows = [(row["stratum"], row["wanted"], row["available"], row["taken"], row["short"],
                 ", ".join(f"{count:,} of {cell}" for cell, count in row["borrowed"].items()))
                for row in card.short]  # fmt: skip
        head = ["stratum", "wanted", "available", "taken", "short", "stood in for by"]
        parts += [Table(head, rows[:MOST_ROWS]), *_more(len(rows), "short strata")]
    if card.excluded:
        left_out = [(row["reason"], row["entities"], row["example"]) for row in card.excluded]
        parts.append(Table(["left out because", "entities", "for example"], left_out))
    return parts or ["None is known: nothing was left out, and no stratum is short."]


def _groups(card: Card) -> list[Part]:
    removed = sum(row["entities"] for row in card.duplicates)
    found = card.groups
    return [
        f"{removed:,} entities were left out as duplicates." if removed else "Nothing was left out as a duplicate.",
        f"{found['leak_groups']:,} leak groups; {found['of_several']:,} have several members, "
        f"{found['members_in_several']:,} in all; the largest has {found['largest']:,}. A group is in one split.",
    ]  # fmt: skip


def _more(count: int, what: str) -> list[Part]:
    return [f"{count - MOST_ROWS:,} {what} more."] if count > MOST_ROWS else []
