"""How predicted texts are scored: exact matches, and edits of characters and words."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from lakehouse.datasets.policies.hits import Ints
from lakehouse.datasets.policies.kind import Measure, Score, Scored

MEASURES = (Measure("text_match"), Measure("cer", is_share=False), Measure("wer", is_share=False))


def weigh_texts(rows: Sequence[Scored]) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores texts, from how often each row counts: `text_match` (share of texts that are equal), `cer`,
    `wer`.

    The two are the fewest insertions, deletions and exchanges of characters (code points), or of words between blanks,
    that make the truth of the predictions, added up and divided by the characters or words of the truth; above 1 where
    predictions are much too long. A member without a prediction is one with an empty text.

    Args:
        rows: Truth and answer: texts.
    """
    pairs = [(str(row.truth), "" if row.answer is None else str(row.answer)) for row in rows]
    same = np.array(
        [row.answer is not None and truth == said for row, (truth, said) in zip(rows, pairs, strict=True)], np.int64
    )
    words = [(truth.split(), said.split()) for truth, said in pairs]
    # (rows, 2): edits, and parts of the truth.
    parts = {
        "cer": np.array([(edits(truth, said), len(truth)) for truth, said in pairs], np.int64).reshape(-1, 2),
        "wer": np.array([(edits(truth, said), len(truth)) for truth, said in words], np.int64).reshape(-1, 2),
    }

    def weigh(counts: Ints) -> Iterator[Score]:
        total = int(counts.sum())
        yield Score("text_match", None, int(counts @ same) / total if total else None, total)
        for name, found in parts.items():
            wrong, whole = (counts @ found).tolist()
            yield Score(name, None, wrong / whole if whole else None, total)

    return weigh


def edits(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Return the fewest insertions, deletions and exchanges that make one sequence of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, each in enumerate(one, start=1):
        before, row[0] = row[0], number
        for place, their in enumerate(other, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (each != their))
    return row[-1]
