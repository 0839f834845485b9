"""Which answers go out: what holds of one question, now or at a time, with what is known of its subjects."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.objects import read_bytes
from lakehouse.opinions.exporting.answers import answer_of
from lakehouse.opinions.formats.writer import Said, Subject
from lakehouse.opinions.reading.packed import rows_of
from lakehouse.query import fetch, query
from lakehouse.views.opinions import current_opinions_sql

SUBJECTS = """
with named as (
    select entity_id, path, uri, row_number() over (partition by entity_id order by path, source, uri) as place
    from silver.entity_sources where ($source = '' or source = $source)
), measured as (
    select entity_id, extractor_version,
        max(case when dimension = 'width' then number end) as width,
        max(case when dimension = 'height' then number end) as height,
        max(case when dimension = 'exif_orientation' then number end) as orientation,
        max(case when dimension = 'channels' then number end) as channels
    from silver.dimensions
    where extractor = 'image_header' and dimension in ('width', 'height', 'exif_orientation', 'channels')
    group by entity_id, extractor_version
), pictures as (
    select entity_id, width, height, orientation, channels,
        row_number() over (partition by entity_id order by extractor_version desc) as age
    from measured
), lengths as (
    select entity_id, number as duration_ms,
        row_number() over (partition by entity_id order by extractor_version desc, extractor) as age
    from silver.dimensions where dimension = 'duration_ms'
)
select o.*, n.path, n.uri, e.media_type, e.object_uri, p.width, p.height, p.orientation, p.channels, l.duration_ms
from held o
left join silver.entities e on e.entity_id = o.subject_id
left join named n on n.entity_id = o.subject_id and n.place = 1
left join pictures p on p.entity_id = o.subject_id and p.age = 1
left join lengths l on l.entity_id = o.subject_id and l.age = 1
"""
"""Answers with the name of their subject and what its header says."""

IN_ORDER = "select * from chosen order by coalesce(path, subject_id), subject_id, actor_id, slot, opinion_id"

SEVERAL = """
select subject_id, min(path) as path, list(distinct actor_id) as actors, count(*) as answers
from chosen where value_kind not in ({beside})
group by subject_id, question_id having count(*) > 1 order by subject_id limit 1
"""

MOST = 10
MAX_BYTES = 1 << 31
"""Of one subject, where a format holds the subjects themselves."""



@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are wanted.

    Attributes:
        question: The question; "": every one.
        actor: Only this actor's; None: everybody's.
        source: Landed source that names the subjects, and whose subjects alone go out; "": all.
        known_at: As we knew it then; None: now.
        valid_at: As had been said by then; None: all.
    """

    question: str
    actor: str | None = None
    source: str = ""
    known_at: datetime | None = None
    valid_at: datetime | None = None


class Answers:
    """The chosen answers; each time it is gone through they are read anew, in the order of their subjects' names."""

    def __init__(self, lake: Lake, rows: Relation) -> None:
        self._lake, self._rows = lake, rows

    def __iter__(self) -> Iterator[Said]:
        ordered = query(self._lake, IN_ORDER, inputs={"chosen": self._rows})
        for batch in self._lake.engine.stream(ordered):
            for row in rows_of(batch):
                yield Said(answer_of(row), _subject(row, self._lake))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen.

    Attributes:
        answers: Answers about subjects with a name; may be gone through several times.
        count: Their number.
        left_out: Rule -> answers that do not go out: `abstained`, and `no_name`: of no file of that source.
        actors: Actor -> number of answers.
    """

    answers: Answers
    count: int
    left_out: Mapping[str, int]
    actors: Mapping[str, int]


def choose(
    lake: Lake, wanted: Wanted, held: Relation | None = None, *, one_each: bool, abstains: bool = False,
    beside: tuple[str, ...] = (),
) -> Chosen:  # fmt: skip
    """Return what holds of a question.

    Args:
        lake: The lake.
        wanted: Which answers.
        held: Rows of silver.opinions to choose from in place of those that hold.
        one_each: Whether the format holds one answer about a subject, and nobody who gave it.
        abstains: Whether those go out as well who declined to answer.
        beside: Kinds of values of which a format that holds one answer holds several of one actor all the same.

    Raises:
        ConfigError: If there is no such question or actor, nothing goes out, or `one_each` and the answers are of
            several actors, or several of one actor about one subject; the message names them.
    """
    rows = _held(lake, wanted) if held is None else held
    about = {"held": rows}
    goes = "op <> 'retract'" if abstains else "op = 'assert'"
    counted = fetch(lake, f"select actor_id, count(*) as n from held where {goes} group by actor_id", inputs=about)
    actors = {row["actor_id"]: int(row["n"]) for row in sorted(counted, key=lambda row: str(row["actor_id"]))}
    if not actors:
        raise ConfigError(_nothing(lake, wanted))
    if one_each and len(actors) > 1:
        shown = ", ".join(f"{actor} ({count:,})" for actor, count in list(actors.items())[:MOST])
        more = f" and {len(actors) - MOST} more" if len(actors) > MOST else ""
        raise ConfigError(
            f"{_asked(wanted)}: answers of {len(actors)} actors: {shown}{more}; this format holds one answer "
            "about each subject and nobody who gave it: name one with --actor, or a policy with --policy"
        )
    found = lake.engine.stage(query(lake, SUBJECTS, inputs=about, params={"source": wanted.source}))
    chosen = lake.engine.stage(
        query(lake, f"select * from found where {goes} and path is not null", inputs={"found": found})
    )
    kept = {"chosen": chosen}
    text = SEVERAL.format(beside=", ".join(f"'{kind}'" for kind in ("", *beside)))
    if one_each and (several := fetch(lake, text, inputs=kept)):
        row = several[0]
        raise ConfigError(
            f"{_asked(wanted)}: {row['actors'][0]} has {row['answers']} answers about {row['path']}, in "
            "slots of their own; this format holds one: make a consensus of them, or name a policy"
        )
    count = int(fetch(lake, "select count(*) as n from chosen", inputs=kept)[0]["n"])
    declined = fetch(lake, f"select count(*) as n from held where not ({goes})", inputs=about)
    abstained = int(declined[0]["n"])
    left_out = {"abstained": abstained, "no_name": sum(actors.values()) - count}
    if not count:
        raise ConfigError(
            f"{_asked(wanted)}: none of its {sum(actors.values()):,} answers is about a file of source "
            f"`{wanted.source}`"
        )
    return Chosen(Answers(lake, chosen), count, {rule: n for rule, n in left_out.items() if n}, actors)


def _held(lake: Lake, wanted: Wanted) -> Relation:
    text = current_opinions_sql(known_at=wanted.known_at is not None, valid_at=wanted.valid_at is not None)
    times = {"known_at": wanted.known_at, "valid_at": wanted.valid_at}
    params: dict[str, object] = {name: time for name, time in times.items() if time is not None}
    current = query(lake, text, params=params)
    about = """select * from current
    where ($question = '' or question_id = $question) and ($actor = '' or actor_id = $actor)"""
    asked = {"question": wanted.question, "actor": wanted.actor or ""}
    return lake.engine.stage(query(lake, about, inputs={"current": current}, params=asked))


def _nothing(lake: Lake, wanted: Wanted) -> str:
    rows = fetch(lake, "select distinct question_id, actor_id from silver.opinions")
    questions = sorted({row["question_id"] for row in rows})
    if wanted.question and wanted.question not in questions:
        return f"no question `{wanted.question}` has answers{nearest(wanted.question, questions)}"
    actors = sorted({row["actor_id"] for row in rows if wanted.question in ("", row["question_id"])})
    if wanted.actor is not None and wanted.actor not in actors:
        return f"{_asked(wanted)} has no answers of {wanted.actor}{nearest(wanted.actor, actors)}"
    return f"{_asked(wanted)}: no answer holds then; nothing is left to export"


def _asked(wanted: Wanted) -> str:
    return f"question {wanted.question}" if wanted.question else "any question"


def _subject(row: Mapping[str, object], lake: Lake) -> Subject:
    duration, held = row["duration_ms"], row["object_uri"]
    return Subject(
        entity_id=str(row["subject_id"]),
        name=str(row["path"]),
        uri=str(row["uri"] or ""),
        media_type=str(row["media_type"] or ""),
        width=_whole(row["width"]),
        height=_whole(row["height"]),
        orientation=_whole(row["orientation"]),
        channels=_whole(row["channels"]),
        duration=duration / 1_000 if isinstance(duration, float | int) else None,
        content=functools.partial(read_bytes, lake.home, held, limit=MAX_BYTES) if isinstance(held, str) else None,
    )


def _whole(number: object) -> int | None:
    return int(number) if isinstance(number, float | int) else None
