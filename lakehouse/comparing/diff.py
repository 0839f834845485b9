"""diff: two versions of a dataset -> who differs, in what, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakehouse.comparing.causes import came_opinions, differences, rows_read, versions
from lakehouse.comparing.members import ANSWERS, COUNTS, MOVES, REASONS, changed_members, counted
from lakehouse.comparing.shift import class_shift, dimension_shift, evaluation_shift
from lakehouse.datasets.versions.counts import check_members
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.lake import Lake
from lakehouse.query import query

ORDERED = "select * from changed order by change, old_split nulls first, new_split nulls first, entity_id"


@dataclass(frozen=True)
class DatasetDiff:
    """What differs between an older and a newer version.

    Attributes:
        old: dataset_id, name, members and excluded of the one.
        new: Of the other.
        counts: came_in, went_out, moved (to another split), answered_otherwise, weighed_otherwise (stratum or weight).
        reasons: change (in, out), reason, members.
        moves: old_split, new_split, members.
        answers: old_label, new_label, members; '' where an answer is no label.
        recipe: key, old, new of each setting that differs.
        contracts: The same of versions of the code.
        inputs: input, old_rows, new_rows of what was read with another content.
        opinions: actor_id, op, opinions, members of what was said between the two about members that are answered
            otherwise; a sentence where that cannot be told.
        classes: label, old_members, new_members, share_change.
        dimensions: dimension, kind, shift and what it is of; see `lakehouse.comparing.shift`.
        evaluations: Metrics of both whose values differ.
        members: The members that differ, one row each, in a fixed order.
    """

    old: Mapping[str, object]
    new: Mapping[str, object]
    counts: Mapping[str, int]
    reasons: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    recipe: list[dict[str, object]]
    contracts: list[dict[str, object]]
    inputs: list[dict[str, object]]
    opinions: list[dict[str, Any]] | str
    classes: list[dict[str, Any]]
    dimensions: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    members: pa.Table = field(repr=False)

    @property
    def is_same(self) -> bool:
        """Whether no member differs."""
        return not any(self.counts.values())

    def parts(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the tables of the report by name, without the members."""
        for name in ("reasons", "moves", "answers", "recipe", "contracts", "inputs", "opinions", "classes",
                     "dimensions", "evaluations"):  # fmt: skip
            rows = getattr(self, name)
            yield name, [{"note": rows}] if isinstance(rows, str) else rows


def diff_datasets(lake: Lake, old: str, new: str, *, dimensions: bool = True) -> DatasetDiff:
    """Compare two versions of a dataset, or of two; nothing is written.

    Args:
        lake: The lake.
        old: Id of a version, or the name of a dataset for the version built last.
        new: Of the other.
        dimensions: Whether dimensions are compared too: the values that the members have now.

    Raises:
        RecipeError: If there is no such dataset.
        TableError: If a file of a table is missing or damaged, or members were lost.
    """
    ids = [find_dataset(lake, each).dataset_id for each in (old, new)]
    for each in ids:
        check_members(lake, each)
    before, now = versions(lake, *ids)
    changed = changed_members(lake, *ids)
    counts = {name: int(str(count)) for name, count in counted(lake, changed, COUNTS)[0].items()}
    return DatasetDiff(
        old={name: before[name] for name in ("dataset_id", "name", "members", "excluded")},
        new={name: now[name] for name in ("dataset_id", "name", "members", "excluded")},
        counts=counts,
        reasons=counted(lake, changed, REASONS),
        moves=counted(lake, changed, MOVES),
        answers=counted(lake, changed, ANSWERS),
        recipe=list(differences(before["recipe"], now["recipe"])),
        contracts=list(differences(before["contracts"], now["contracts"])),
        inputs=rows_read(before, now),
        opinions=came_opinions(lake, before, now, changed) if counts["answered_otherwise"] else [],
        classes=class_shift(lake, *ids),
        dimensions=dimension_shift(lake, *ids) if dimensions else [],
        evaluations=evaluation_shift(lake, *ids),
        members=lake.engine.arrow(query(lake, ORDERED, inputs={"changed": changed})),
    )
