"""What a policy believes, in people's SQL: `labels_at('question', 'policy', 'known at', 'valid at')` is a query.

    select label, count(*) from labels_at('species', 'strict', '2024-05-01T00:00:00Z') group by label

The last two may be left out or NULL. The call becomes the text of the policy before the gate looks at the query, so
that nothing runs that the gate has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypedDict

from lakehouse.engines.tokens import Token, tokens
from lakehouse.errors import ConfigError, QueryRefusedError
from lakehouse.labels.policy import Policy
from lakehouse.labels.sql import believed_sql

CALL = "labels_at"
USE = f"{CALL}('question', 'policy', known_at, valid_at), times as texts like '2024-05-01T00:00:00Z', or left out"

Named = Callable[[str, datetime | None], Policy]
"""From the name or id of a policy, and when it was known so, to the policy."""


United = Callable[[Policy, str, datetime | None, datetime | None], str]
"""From a policy that unites regions, a question, known_at and valid_at to a table with what it believes."""


class _Times(TypedDict):
    known_at: datetime | None
    valid_at: datetime | None


def labels_sql(
    policy: Policy,
    question: str,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    dialect: str = "duckdb",
    names: Mapping[str, str] | None = None,
) -> str:
    """Return what a policy believes of a question as one query of an engine; see `lakehouse.labels.sql.believed_sql`.

    Args:
        policy: The policy.
        question: The question.
        known_at: As we knew it then.
        valid_at: As had been said by then.
        dialect: `duckdb` or `spark`.
        names: Table in shared SQL -> its name in the session, as `register_views` returns them; None: the same.

    Raises:
        ConfigError: If the policy unites regions: that is no SQL.
    """
    if policy.unites:
        raise ConfigError(
            f"policy {policy.name or policy.policy_id} unites regions of several, which is no SQL: ask "
            f"lakehouse.labels(lake, ...), which gives a relation of either engine, or {CALL} in petrel sql"
        )
    from lakehouse.engines.dialect import bind, table_names

    text = believed_sql(policy, known_at=known_at is not None, valid_at=valid_at is not None)
    params = {"question": question, "known_at": known_at, "valid_at": valid_at}
    return bind(text, names or {name: name for name in table_names(text)}, params, dialect=dialect)


def expanded(text: str, named: Named, united: United) -> str:
    """Return `text` with every `labels_at(...)` replaced by the query that it stands for.

    Args:
        text: What a person wrote.
        named: Finds policies.
        united: Makes a table where a policy unites regions, and says its name.

    Raises:
        QueryRefusedError: If its arguments are not texts, there is no such policy, or a time is none.
    """
    pieces, encoded = tokens(text), text.encode()
    parts, done, place = [], 0, 0
    while place < len(pieces):
        if pieces[place].text.lower() != CALL or pieces[place + 1 : place + 2] == [] or pieces[place + 1].text != "(":
            place += 1
            continue
        end, arguments = _arguments(pieces, place + 2)
        policy, question, times = _called(arguments, named)
        if policy.unites:
            query = f"select * from {united(policy, question, times['known_at'], times['valid_at'])}"
        else:
            query = labels_sql(policy, question, **times)
        parts += [encoded[done : pieces[place].start], f"({query})".encode()]
        done, place = pieces[end].end, end + 1
    return b"".join([*parts, encoded[done:]]).decode()


def _arguments(pieces: list[Token], place: int) -> tuple[int, list[str | None]]:
    """Return where the call ends, and its arguments."""
    found: list[str | None] = []
    while place + 1 < len(pieces):
        word = pieces[place].text
        if word.lower() == "null":
            found.append(None)
        elif word.startswith("'") and word.endswith("'") and len(word) > 1:
            found.append(word[1:-1].replace("''", "'"))
        else:
            break
        if pieces[place + 1].text == ")":
            return place + 1, found
        if pieces[place + 1].text != ",":
            break
        place += 2
    raise QueryRefusedError(f"{CALL} takes texts: {USE}")


def _called(arguments: list[str | None], named: Named) -> tuple[Policy, str, _Times]:
    if not 2 <= len(arguments) <= 4 or arguments[0] is None or arguments[1] is None:
        raise QueryRefusedError(f"{CALL} takes a question and a policy: {USE}")
    known_at, valid_at = (_time(text) for text in [*arguments[2:], None, None][:2])
    return named(arguments[1], known_at), arguments[0], {"known_at": known_at, "valid_at": valid_at}


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryRefusedError(f"{CALL}: {text[:100]!r} is no time: {USE}") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
