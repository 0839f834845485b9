"""Questions and actors registered before anybody answers; append-only, as with their first answers."""

from __future__ import annotations

from lakehouse.lake import Lake
from lakehouse.opinions.actors import Actor, actor_rows
from lakehouse.opinions.questions import Question, question_rows, rules_of
from lakehouse.opinions.writing.write import import_lock
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from schemas.tables import ACTORS, LABEL_SETS, QUESTIONS


def register_question(lake: Lake, question: Question) -> Receipt:
    """Register a version of a question, with its labels and synonyms; doing it twice adds nothing.

    Raises:
        ConfigError: If the lake holds this version with another meaning (raise `version`), or its labels in another
            order than that of their numbers.
    """
    with step(lake, "register") as record:
        with import_lock(lake):
            rules_of(lake, question)
            questions, entries = question_rows(lake, question, {}, {})
            for table, rows in ((LABEL_SETS, entries), (QUESTIONS, questions)):
                if rows:
                    record.writes.append(insert_rows(lake, table, rows, step="register"))
        record.counts = {"questions": len(questions), "labels": len(entries)}
        record.details = {"question": question.question_id}
    return record.finished()


def register_actor(lake: Lake, actor: Actor) -> Receipt:
    """Register an actor with its details; doing it twice adds nothing.

    Raises:
        ConfigError: If the lake knows it with other details: one that answers differently is another actor.
    """
    with step(lake, "register") as record:
        with import_lock(lake):
            rows = actor_rows(lake, [actor])
            if rows:
                record.writes.append(insert_rows(lake, ACTORS, rows, step="register"))
        record.counts = {"actors": len(rows), "same": 1 - len(rows)}
        record.details = {"actor": actor.actor_id}
    return record.finished()
