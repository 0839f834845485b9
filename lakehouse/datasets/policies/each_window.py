"""Windows as samples: one label of several entities, by a stated rule, and what a window is in samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.kind import AnswerKind, Decision
from lakehouse.datasets.policies.label import SAID, because
from lakehouse.datasets.policies.label_samples import label_columns
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

WINDOW = Field("window_id", pa.string(), doc="The window that the row is of: `length` rows, by position.")
POSITION = Field("position", pa.int64(), doc="Place of the row in its window, from 0.")


def label_of_window(rule: str, labels: Sequence[str | None], why: Sequence[str | None]) -> Decision:
    """Return the label of a window, or those of all of its entities, or why it has none.

    Args:
        rule: `last`, `first`, `majority` or `all`.
        labels: Of its entities; None: not settled.
        why: Reason of each label that is not settled.
    """
    settled = [label for label in labels if label is not None]
    if rule == "majority":
        counted = Counter(settled).most_common()
        if not counted:
            return Decision(reason=why[-1] or "no_label", detail=f"none of its {len(labels)} entities has a label")
        if len(counted) > 1 and counted[0][1] == counted[1][1]:
            return Decision(reason="tie", detail=f"{counted[0][1]} entities each are {counted[0][0]}, {counted[1][0]}")
        return Decision(answer=counted[0][0])
    if rule == "all":
        if len(settled) < len(labels):
            reason = next(each for label, each in zip(labels, why, strict=True) if label is None) or "no_label"
            return Decision(reason=reason, detail=f"{len(settled)} of its {len(labels)} entities have a label")
        return Decision(answer=settled)
    at = 0 if rule == "first" else -1
    if labels[at] is None:
        return Decision(reason=why[at] or "no_label", detail=f"its {rule} entity has no label")
    return Decision(answer=labels[at])


def samples(rows: pa.Table, classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    """Yield `window_id`, `position` and, where there are labels, `label` and `label_index`."""
    yield WINDOW, rows["window_id"]
    yield POSITION, rows["position"]
    if classes and rows["label"].null_count < rows.num_rows:
        yield from label_columns(rows["label"], classes)


def _decided(row: Mapping[str, Any], _settings: Label) -> Decision:
    raise NotImplementedError(f"windows have their labels from `label_of_window`: {row}")


EACH_WINDOW = AnswerKind(
    value_kind="label",
    task="each_window",
    policies=("majority", "soft"),
    version=1,
    hears=("label", "votes"),
    tally="",
    decide=_decided,
    because=because,
    reasons=(),
    classes=SAID,
    has_cell=True,
    one_label=True,
    samples=samples,
    sample_names=("label", "label_index", "window_id", "position"),
)
"""What answers of labels are where a recipe takes windows as samples: no task that a recipe may name."""
