"""Kinds of answers that datasets can be made of: the built-in ones and those that installed packages bring.

To add one here: a module with an `AnswerKind`, one line in `BUILT_IN`. A package adds one with an entry point of group
`petrel.answer_kinds`:

    [project.entry-points."petrel.answer_kinds"]
    number = "my_package.numbers:NUMBER"
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from lakehouse.datasets.policies.boxes import BOXES
from lakehouse.datasets.policies.kind import SCOPES, AnswerKind, Measure
from lakehouse.datasets.policies.label import LABEL
from lakehouse.errors import ConfigError
from lakehouse.plugins import installed

ENTRY_POINTS = "petrel.answer_kinds"

BUILT_IN: tuple[AnswerKind, ...] = (
    LABEL,
    BOXES,
)  # fmt: skip


@lru_cache(maxsize=1)
def answer_kinds() -> Mapping[str, AnswerKind]:
    """Return every kind of answer by its value_kind, built-in ones first.

    Raises:
        ConfigError: If an entry point cannot be loaded, or two are for one value_kind.
    """
    found: dict[str, AnswerKind] = {}
    for each in (*BUILT_IN, *installed(ENTRY_POINTS, AnswerKind)):
        if each.value_kind in found:
            raise ConfigError(f"two kinds of answers are for `{each.value_kind}`; uninstall one of their packages")
        found[each.value_kind] = each
    return found


def policies() -> tuple[str, ...]:
    """Return what `label.policy` of a recipe may be, for any kind of answer."""
    return tuple(dict.fromkeys(policy for kind in answer_kinds().values() for policy in kind.policies))


def measures() -> Mapping[str, Measure]:
    """Return every number that an evaluation of some kind of answer has, by name: those over all members first.

    Raises:
        ConfigError: If two kinds mean different things by one name.
    """
    found: dict[str, Measure] = {}
    for kind in answer_kinds().values():
        for each in kind.measures:
            if found.setdefault(each.name, each) != each:
                raise ConfigError(
                    f"kind of answer {kind.value_kind}: its measure {each.name} is another one of other answers; "
                    "give it another name"
                )
    return {each.name: each for each in sorted(found.values(), key=lambda each: SCOPES.index(each.scope))}
