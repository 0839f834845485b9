"""A kind of answer as a package would bring it: numbers, answered by their mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.datasets.policies.kind import AnswerKind, Decision, Measure, Score, Scored
from lakehouse.datasets.policies.settings import Label
from loaders.format.fields import Field

TALLY = """
select subject_id as entity_id, count(*) as all_votes, avg(number) as mean from heard group by subject_id
"""


def decide(row: Mapping[str, Any], _settings: Label) -> Decision:
    if row["mean"] < 0:
        return Decision(reason="below_zero", detail=f"mean {row['mean']:g}")
    return Decision(answer=row["mean"])


def samples(members: pa.Table, _classes: Sequence[str]) -> Iterator[tuple[Field, pa.Array]]:
    values = [float(text) for text in members["answer_json"].to_pylist()]
    yield Field("rating", pa.float64(), doc="Mean of the ratings."), pa.array(values)


def score(rows: Sequence[Scored]) -> Iterator[Score]:
    errors = [abs(row.truth - row.answer) for row in rows if row.answer is not None]
    yield Score("mean_error", None, sum(errors) / len(errors) if errors else None, len(errors))


RATING = AnswerKind(
    value_kind="number", task="rating", policies=("mean",), version=1, hears=("number",), tally=TALLY, decide=decide,
    because=lambda settings, question: f"{settings.policy} of `{question}`", samples=samples,
    sample_names=("rating",), score=score, measures=(Measure("mean_error", is_share=False),),
)  # fmt: skip
