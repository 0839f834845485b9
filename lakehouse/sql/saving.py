"""Save texts of SQL under names that queries read as views; append-only, so that commits and branches hold them too."""

from __future__ import annotations

import re
from typing import Any

from lakehouse.commits.at import without_commits
from lakehouse.engines.called import PREFIX
from lakehouse.engines.plain import plain
from lakehouse.engines.tokens import tokens
from lakehouse.engines.tree import parse, tables_read
from lakehouse.errors import ConcurrentWriteError, ConfigError, QueryRefusedError, TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.query import fetch
from lakehouse.sql.contained import open_query
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from lakehouse.views.marts import PREFIX as MART
from lakehouse.views.registry import VIEW_NAMES
from lakehouse.views.saved import expanded, saved_texts
from schemas.tables import SAVED_VIEWS

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
OURS = (PREFIX, MART, "petrel_")
"""How names begin that are no view's."""
LONGEST_DOC = 1_000

ROWS = """
select v.name, v.ordinal, v.sql, v.doc, v.saved_by, v.saved_at, v.ordinal = max(v.ordinal) over (partition by v.name)
    and v.sql is not null as holds
from gold.saved_views v where $name is null or v.name = $name
order by v.name, v.ordinal desc
"""


def save_view(lake: Lake, name: str, text: str, *, doc: str = "") -> Receipt:
    """Let queries read the rows of a query under a name.

    The query is planned once, so that one that cannot run is not saved; it is gated anew whenever it is used.

    Args:
        lake: The lake.
        name: Small letters, digits and `_`; no name that Petrel has. One that is saved already gets the new text.
        text: One SELECT without parameters. It may read tables, views, saved views and `name@commit`.
        doc: What one row is, for people.

    Returns:
        Receipt with counts new (0: name, text and doc were saved so already) and details view and ordinal.

    Raises:
        ConfigError: If the name can be none.
        QueryRefusedError, QueryFailedError: If the gate refuses the query, or it cannot be planned.
        ConcurrentWriteError: If somebody else saved the same view at the same moment.
    """
    _check_name(name)
    if len(doc) > LONGEST_DOC:
        raise ConfigError(f"view {name}: a doc of {len(doc):,} characters; at most {LONGEST_DOC:,}")
    text = _without_end(text)
    texts = {**saved_texts(lake.home), name: text}
    if name in tables_read(without_commits(expanded(text, texts, above=(name,)))):
        raise QueryRefusedError(f"the saved view `{name}` reads itself")
    # As whoever reads it has it: DESCRIBE, say, is a question and no view.
    parse(without_commits(f"with {name} as (\n{plain(text)}\n) select * from {name}"))
    with open_query(lake.home, text, limits=lake.config.sql, first=0) as answer:
        columns = answer.schema.names
    if twice := sorted({each for each in columns if columns.count(each) > 1}):
        raise QueryRefusedError(f"view {name}: two columns are called {twice[0]}; give each a name with `as`")
    return _written(lake, name, text, doc)


def drop_view(lake: Lake, name: str) -> Receipt:
    """Have a name stand for nothing any more; what it stood for stays in earlier commits.

    Returns:
        Receipt with counts new and details view and ordinal.

    Raises:
        TableNotFoundError: If no view is saved so.
        QueryRefusedError: If another saved view reads it.
        ConcurrentWriteError: As `save_view`.
    """
    texts = saved_texts(lake.home)
    _check_saved(name, texts)
    readers = [other for other, text in texts.items() if other != name and name in tables_read(without_commits(text))]
    if readers:
        raise QueryRefusedError(f"the saved view `{name}` is read by {', '.join(readers)}; drop these first")
    return _written(lake, name, None, "")


def saved_views(lake: Lake, name: str | None = None) -> list[dict[str, Any]]:
    """Return every row of all saved views, or of one: by name, the newest first.

    Returns:
        Rows with name, ordinal, sql (None: dropped), doc, saved_by, saved_at (UTC) and holds: whether it is what the
        name stands for now.

    Raises:
        TableNotFoundError: If none was ever saved under this name.
    """
    rows = fetch(lake, ROWS, params={"name": name})
    if name is not None and not rows:
        _check_saved(name, saved_texts(lake.home))
    return rows


def _without_end(text: str) -> str:
    """Return a query without the `;` at its end, and what stands behind."""
    pieces = tokens(text)
    while pieces and pieces[-1].text == ";":
        text = text.encode()[: pieces.pop().start].decode()
    return text.strip()


def _written(lake: Lake, name: str, text: str | None, doc: str) -> Receipt:
    with step(lake, "save_view") as record:
        held = fetch(lake, ROWS, params={"name": name})
        same = bool(held) and (held[0]["sql"], held[0]["doc"] or "") == (text, doc)
        ordinal = (held[0]["ordinal"] if held else 0) + (not same)
        record.details = {"view": name, "ordinal": str(ordinal)}
        record.counts = {"new": int(not same)}
        if not same:
            row = {
                "name": name, "ordinal": ordinal, "sql": text, "doc": doc or None,
                "saved_by": lake.config.lake.author or None,
            }  # fmt: skip
            written = insert_rows(lake, SAVED_VIEWS, [row], step="save_view")
            if not written.rows_new:
                raise ConcurrentWriteError(f"view {name}: somebody saved it at this moment; run it again")
            record.writes.append(written)
    return record.finished()


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name.startswith(OURS):
        raise ConfigError(
            f"{name!r:.80} is no name of a view: expected up to 63 small letters, digits and _, and not beginning with "
            f"{', '.join(OURS)}"
        )
    if name in VIEW_NAMES or name in ("labels_at", "information_schema"):
        raise ConfigError(f"`{name}` is a view of Petrel's; give yours another name")
    try:
        parse(f"select * from {name}")
    except QueryRefusedError:
        raise ConfigError(f"`{name}` is a word of SQL; give the view another name") from None


def _check_saved(name: str, texts: dict[str, str]) -> None:
    if name not in texts:
        known = nearest(name, texts) if texts else "; `petrel views save NAME SQL` saves one"
        raise TableNotFoundError(f"no saved view `{name:.80}`{known}")
