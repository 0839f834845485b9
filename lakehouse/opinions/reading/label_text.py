"""What a label must look like, and labels that a person may have meant to be one, or to be several."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal

from lakehouse.errors import RejectedInputError

MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "NaT", "None", "n/a", "nan", "null",
)
"""Texts that programs write where a value is missing: those that pandas reads so, and its NaT."""

INVISIBLE = "\u200b\u2060\ufeff"
SEPARATORS = "|;,"
SHOWN = 5
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?")


def plain_label(text: str, *, missing: Collection[str], known: Collection[str] = ()) -> str:
    """Return a label without blanks and invisible characters around it.

    Args:
        text: The label as the source has it.
        missing: Texts that mean that there is none.
        known: Labels and synonyms that somebody has declared: they are taken as they stand.

    Raises:
        RejectedInputError: With rule empty_label or missing_label.
    """
    if text in known:
        return text
    plain = text.strip().strip(INVISIBLE).strip()
    if not plain:
        raise RejectedInputError("empty_label", f"label {text!a:.80} is blank")
    if plain in missing and plain not in known:
        raise RejectedInputError(
            "missing_label", f"label {plain!a:.80} means that a value is missing; if a class is really called so, list "
            "in `missing` the texts that do mean it, or none (--option missing=)"
        )
    return plain


def alike(new: Iterable[str], held: Iterable[str] = ()) -> Iterator[list[str]]:
    """Yield labels that differ only in case, blanks, hyphens, Unicode form or in how a number is written.

    Args:
        new: Labels of an import; every group yielded has one of them.
        held: Labels that the question has already.
    """
    groups: dict[str, set[str]] = {}
    fresh = set(new)
    for label in fresh | set(held):
        groups.setdefault(_folded(label), set()).add(label)
    yield from sorted(sorted(group) for group in groups.values() if len(group) > 1 and group & fresh)


def looks_like_list(label: str) -> str | None:
    """Return the separator of a label that looks like several, else None."""
    for separator in SEPARATORS:
        parts = label.split(separator)
        if len(parts) > 1 and all(part.strip() for part in parts):
            return separator
    return None


def shown(labels: Collection[str]) -> str:
    """Return labels for a message, the first of them only where there are many."""
    first = ", ".join(repr(label) for label in sorted(labels)[:SHOWN])
    return first + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")


def _folded(label: str) -> str:
    if _NUMBER.fullmatch(label):
        return f"#{Decimal(label).normalize():f}"
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return re.sub(r"[\s_\-]+", "", folded) or label
