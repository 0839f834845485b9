"""How things are alike: by the embeddings of a model, or, where there are none, by the difference hash of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lakehouse.agreement.measures.doubtful import Doubt
from lakehouse.agreement.measures.neighbours import far_from_neighbours, nearest
from lakehouse.consensus.methods.votes import Flags, Floats, Votes
from lakehouse.datasets.policies.embedding import vector_of
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import fetch

DHASH = "dhash"

EMBEDDED = """
select subject_id, actor_id, value_ref from (
    select subject_id, actor_id, value_ref, row_number() over (
        partition by subject_id, actor_id order by event_time desc nulls last, opinion_id desc
    ) as place
    from current_opinions where question_id = $question and op = 'assert' and value_kind = 'embedding'
) newest where place = 1
"""

HASHED = """
select entity_id as subject_id, max(text) as bits from silver.dimensions
where dimension = 'dhash' and text is not null group by entity_id
"""


def doubts_by_neighbours(
    lake: Lake, votes: Votes, name: str, *, actor: str | None = None, number: int = 10
) -> tuple[list[Doubt], list[str]]:
    """Return votes far from those about the nearest things, and what a person should know of it.

    Args:
        lake: The lake.
        votes: Votes for labels.
        name: A question whose answers are embeddings, or `dhash`.
        actor: Whose embeddings, where several gave some.
        number: Neighbours of each thing.

    Raises:
        ConfigError: If there are none, several gave some and none is named, they have several lengths, or there are too
            many.
    """
    vectors, is_known = _hashes(lake, votes.items) if name == DHASH else _embeddings(lake, votes.items, name, actor)
    if not is_known.any():
        raise ConfigError(
            f"agreement: none of the {len(votes.items):,} subjects has an embedding by {name!r}; name a question whose "
            f"answers are embeddings, or `{DHASH}` where pictures are measured"
        )
    try:
        near = nearest(vectors, is_known, number=number)
    except ValueError as error:
        raise ConfigError(f"agreement: neighbours by {name}: {error}") from error
    notes = []
    if not is_known.all():
        notes.append(f"{int((~is_known).sum()):,} subjects have no neighbours: nothing is known of them by {name}")
    if name == DHASH:
        notes.append("neighbours are by the difference hash: pictures of one look, whatever they show")
    return far_from_neighbours(votes, near), notes


def _embeddings(lake: Lake, items: Sequence[str], question: str, actor: str | None) -> tuple[Floats, Flags]:
    rows = fetch(lake, EMBEDDED, params={"question": question})
    actors = sorted({row["actor_id"] for row in rows})
    if actor is None and len(actors) > 1:
        raise ConfigError(f"agreement: embeddings of {question} are by {', '.join(actors)}: name one, neighbours_by")
    refs = {row["subject_id"]: row["value_ref"] for row in rows if actor is None or row["actor_id"] == actor}
    try:
        known = {item: vector_of(refs[item]).astype(np.float64) for item in items if item in refs}
    except ValueError as error:
        raise ConfigError(f"agreement: an embedding of {question} {error}") from error
    lengths = sorted({len(each) for each in known.values()})
    if len(lengths) > 1:
        raise ConfigError(f"agreement: embeddings of {question} have {' and '.join(map(str, lengths))} numbers")
    empty = np.zeros(lengths[0] if lengths else 1)
    return np.array([known.get(item, empty) for item in items]), np.array([item in known for item in items], bool)


def _hashes(lake: Lake, items: Sequence[str]) -> tuple[Floats, Flags]:
    """Return the 64 bits of each hash as 1 and -1: the more are equal, the smaller is the angle."""
    bits = {row["subject_id"]: row["bits"] for row in fetch(lake, HASHED)}
    is_known = np.array([item in bits for item in items], bool)
    raw = b"".join(bytes.fromhex(bits.get(item, "0" * 16)) for item in items)
    ones = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(-1, 8), axis=1).astype(np.float64)
    return 2.0 * ones - 1.0, is_known
