"""How predicted texts are scored: exact matches, and edits of characters and words."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from lakehouse.datasets.policies.kind import Measure, Score, Scored

MEASURES = (Measure("text_match"), Measure("cer", is_share=False), Measure("wer", is_share=False))


def score_texts(rows: Sequence[Scored]) -> Iterator[Score]:
    """Yield `text_match` (share of texts that are equal), `cer` and `wer`.

    These are the fewest insertions, deletions and exchanges of characters (code points), or of words between blanks,
    that make the truth of the predictions, added up and divided by the characters or words of the truth; above 1 where
    predictions are much too long. A member without a prediction is one with an empty text.

    Args:
        rows: Truth and answer: texts.
    """
    pairs = [(str(row.truth), "" if row.answer is None else str(row.answer)) for row in rows]
    same = sum(row.answer is not None and truth == said for row, (truth, said) in zip(rows, pairs, strict=True))
    yield Score("text_match", None, same / len(rows) if rows else None, len(rows))
    for name, parts in (("cer", list), ("wer", str.split)):
        cut = [(parts(truth), parts(said)) for truth, said in pairs]
        total = sum(len(truth) for truth, _ in cut)
        wrong = sum(edits(truth, said) for truth, said in cut)
        yield Score(name, None, wrong / total if total else None, len(rows))


def edits(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Return the fewest insertions, deletions and exchanges that make one sequence of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, each in enumerate(one, start=1):
        before, row[0] = row[0], number
        for place, their in enumerate(other, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (each != their))
    return row[-1]
