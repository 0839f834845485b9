"""Telling people what was taken and is remarkable all the same: counted by rule, each rule with one example."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from lakehouse.engines import Relation
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import slip_of
from lakehouse.opinions.questions import Question, QuestionKey, rules_of
from lakehouse.opinions.reading.label_text import alike, looks_like_list, shown
from lakehouse.query import fetch, query
from lakehouse.steps.step import StepRecord

SHORTEST_ACTOR = 3
"""Names of people are shorter than those of questions, and this is a note and no error."""

logger = logging.getLogger(__name__)

NOTES = """
with told as (
    select part, line, location, unnest(notes) as note from mine
), ruled as (
    select part, line, location, note, split_part(note, ': ', 1) as rule from told
), ranked as (
    select rule, location, note, row_number() over (partition by rule order by part, line, note) as place,
        count(*) over (partition by rule) as num_notes
    from ruled
)
select rule, location, note, num_notes from ranked where place = 1 order by rule
"""
"""Rule, number of its notes, and the first one."""

FATES = """
with last_words as (
    select part, line, location, subject_key, fate, value_hash, current_hash, row_number() over (
        partition by actor_id, question_id, about, slot order by event_time desc nulls last, part desc, line desc
    ) as place
    from settled where opinion_id is not null and op <> 'retract'
)
select part, line, location, [
    'not_current: about ' || subject_key || ' is known, and is not what its actor says by now: a later answer or a '
    || 'retraction stands, so it changes nothing; to say it again give it a later time (--valid-time)'
] as notes
from last_words where place = 1 and fate = 'same' and current_hash is distinct from value_hash
union all
select part, line, location, [
    'said_back: about ' || subject_key || ' had been taken back with its import, and holds again'
] as notes
from settled where fate = 'new' and taken_back is not null
union all
select s.part, s.line, s.location, [
    'said_again: about ' || s.subject_key || ' was replaced by another answer of its actor since it was said '
    || 'before, and replaces that one now'
] as notes
from settled s where s.fate = 'new' and s.replaced is not null and s.taken_back is null and exists (
    select 1 from silver.opinions o
    where o.actor_id = s.actor_id and o.question_id = s.question_id and o.subject_id = s.subject_id
        and o.slot = s.slot and o.value_hash = s.value_hash and o.event_time is not distinct from s.event_time
        and o.opinion_id <> s.opinion_id
)
union all
select s.part, s.line, s.location, [
    'contradicts_earlier: about ' || s.subject_key || ' an earlier answer of its actor in this import says '
    || 'otherwise; this one, which comes later, holds'
] as notes
from settled s where s.fate = 'new' and exists (
    select 1 from settled p where p.opinion_id = s.previous_id and p.value_hash <> s.value_hash
)
"""
"""What an import that comes again, or an older one that comes late, does to what its actors say by now."""


def tell_fates(lake: Lake, settled: Relation, record: StepRecord) -> None:
    """Note answers that were known and do not hold, and those that are said again."""
    tell_notes(lake, lake.engine.stage(query(lake, FATES, inputs={"settled": settled})), record)


def tell_notes(lake: Lake, rows: Relation, record: StepRecord) -> None:
    """Count the notes of rows (columns part, line, location, notes) in the receipt."""
    for row in fetch(lake, NOTES, inputs={"mine": rows}):
        text = row["note"].removeprefix(f"{row['rule']}: ")
        record.note(row["rule"], f"{row['location']}: {text}", count=int(row["num_notes"]))


def tell_names(
    lake: Lake, questions: Collection[str], actors: Collection[str], record: StepRecord, *, create: bool
) -> None:
    """Note questions that are new in a lake that knows others, and actors that look like others that are known.

    Raises:
        ConfigError: If a new question looks like a slip of a known one and `create` is False.
    """
    asked = {row["question_id"] for row in fetch(lake, "select distinct question_id from silver.questions")}
    for name in sorted(set(questions) - asked):
        meant = slip_of(name, asked)
        if meant is not None and not create:
            raise ConfigError(
                f"question `{name}` is new in this lake; did you mean `{meant}`? If it is another question, say so: "
                "--new-question (new_question = true)"
            )
        if asked:
            shown_names = ", ".join(sorted(asked))
            record.note("new_question", f"question `{name}` is asked for the first time; this lake knew {shown_names}")
    known = {row["actor_id"] for row in fetch(lake, "select actor_id from silver.actors")}
    for name in sorted(set(actors) - known):
        kind, _, plain = name.partition(":")
        others = [other.partition(":")[2] for other in known if other.startswith(f"{kind}:")]
        meant = slip_of(plain, others, shortest=SHORTEST_ACTOR)
        if meant is not None:
            record.note(
                "similar_actor", f"actor `{name}` is new in this lake; if `{kind}:{meant}` was meant, take the import "
                "back (petrel opinions retract) and import it again"
            )


def tell_labels(
    lake: Lake,
    asked: Question | None,
    labels: Mapping[QuestionKey, Collection[str]],
    kinds: Mapping[QuestionKey, Collection[str]],
    record: StepRecord,
) -> None:
    """Note labels that may have been meant to be one, and those that may be several; they stay as they are."""
    rules = rules_of(lake, asked)
    for key, found in labels.items():
        held = rules[key].held if key in rules else ()
        for group in alike(found, held):
            record.note(
                "labels_look_alike", f"question {key[0]}: {shown(group)} differ only in case, blanks or form and stay "
                "apart; make them one with synonyms (--synonym TEXT=LABEL)"
            )
        lists = [label for label in found if looks_like_list(label)] if "label" in kinds.get(key, ()) else []
        if lists:
            record.note(
                "label_looks_like_list", f"question {key[0]}: {shown(lists)} may be several labels; then say so: "
                f"--option separator='{looks_like_list(min(lists))}'", count=len(lists)
            )
