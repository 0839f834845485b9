"""Kinds of answers that datasets can be made of: the built-in ones and those that installed packages bring.

To add one here: a module with an `AnswerKind`, one line in `BUILT_IN`. A package adds one with an entry point of group
`petrel.answer_kinds`, under a `task` that no other has:

    [project.entry-points."petrel.answer_kinds"]
    rating = "my_package.ratings:RATING"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from lakehouse.datasets.policies.boxes import BOXES
from lakehouse.datasets.policies.embedding import EMBEDDING
from lakehouse.datasets.policies.keypoints import KEYPOINTS
from lakehouse.datasets.policies.kind import SCOPES, AnswerKind, Measure
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.policies.labels import LABELS
from lakehouse.datasets.policies.masks import MASKS
from lakehouse.datasets.policies.number import NUMBER
from lakehouse.datasets.policies.polygons import POLYGONS
from lakehouse.datasets.policies.ranking import RANKING
from lakehouse.datasets.policies.stretches import INTERVALS, SPANS
from lakehouse.datasets.policies.text import TEXT
from lakehouse.datasets.policies.tracks import TRACKS
from lakehouse.datasets.policies.yes_no import BOOL
from lakehouse.errors import ConfigError
from lakehouse.plugins import installed

ENTRY_POINTS = "petrel.answer_kinds"

BUILT_IN: tuple[AnswerKind, ...] = (
    LABEL,
    LABELS,
    NUMBER,
    BOOL,
    TEXT,
    BOXES,
    POLYGONS,
    MASKS,
    KEYPOINTS,
    TRACKS,
    SPANS,
    INTERVALS,
    RANKING,
    EMBEDDING,
)  # fmt: skip


@lru_cache(maxsize=1)
def answer_kinds() -> Mapping[str, AnswerKind]:
    """Return every kind of answer by its task, built-in ones first.

    Raises:
        ConfigError: If an entry point cannot be loaded, or two are for one task.
    """
    found: dict[str, AnswerKind] = {}
    for each in (*BUILT_IN, *installed(ENTRY_POINTS, AnswerKind)):
        if each.name in found:
            raise ConfigError(
                f"two kinds of answers are for `{each.name}`; uninstall one of their packages, or give one a task of "
                "another name"
            )
        found[each.name] = each
    return found


def usual_kind(value_kind: str, shapes: Sequence[str]) -> AnswerKind | None:
    """Return the kind of answers of a value_kind where the recipe states no task; None if there is none.

    Args:
        value_kind: As the question has it.
        shapes: `geometry_kinds` of the question.
    """
    found = [kind for kind in answer_kinds().values() if kind.value_kind == value_kind]
    shaped = [kind for kind in found if shapes and set(shapes) <= set(kind.shapes)]
    return next((kind for kind in (*shaped, *found)), None)


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
                    f"kind of answer {kind.name}: its measure {each.name} is another one of other answers; "
                    "give it another name"
                )
    return {each.name: each for each in sorted(found.values(), key=lambda each: SCOPES.index(each.scope))}
