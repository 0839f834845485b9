"""One column per class: which labels a row of noughts and ones means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.answer import Value

LAYOUTS = ("", "onehot", "multihot")
_HOT = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def hot(text: str) -> bool | None:
    """Return what a cell of a class column says; None if it is neither nought nor one."""
    return _HOT.get(text.strip().lower())


def layout_of(rows: Iterable[Sequence[str]]) -> str:
    """Return the layout of the cells of class columns: onehot, multihot, or "" if they are not all noughts and ones."""
    sums = []
    for cells in rows:
        marks = [hot(cell) for cell in cells]
        if None in marks:
            return ""
        sums.append(sum(map(bool, marks)))
    return "" if not sums else "onehot" if set(sums) == {1} else "multihot"


def hot_value(cells: Mapping[str, str], layout: str) -> Value:
    """Return the label of a one-hot row, or the labels of a multi-hot one: () says that none of them applies.

    Raises:
        RejectedInputError: With rule not_zero_or_one, soft_label or not_one_hot.
    """
    found = []
    for name, text in cells.items():
        mark = hot(text)
        if mark is None:
            raise _neither(name, text)
        if mark:
            found.append(name)
    if layout == "multihot":
        return tuple(found)
    if len(found) != 1:
        raise RejectedInputError(
            "not_one_hot", f"has {len(found)} classes set, of {len(cells)}, where onehot has one; if any number may be "
            "set, say --option layout=multihot"
        )
    return found[0]


def is_share(text: str) -> bool:
    """Whether a cell holds a number from 0 to 1."""
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _neither(name: str, text: str) -> RejectedInputError:
    if is_share(text):
        return RejectedInputError(
            "soft_label", f"class {name!a:.80} has {text!a:.40}, a probability; columns of classes hold 0 or 1. Give "
            "probabilities a prefix (--option probs_prefix=p_) beside a label column, or write JSON lines with `probs`"
        )
    return RejectedInputError("not_zero_or_one", f"class {name!a:.80} has {text!a:.40}, must be 0 or 1")
