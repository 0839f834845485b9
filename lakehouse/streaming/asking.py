"""Ask a query once, over pinned tables, and keep its rows on disk: in one order, with where their bytes lie."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.commits.at import at_commits
from lakehouse.datasets.selecting.own_fields import NAME, field_type
from lakehouse.datasets.versions.counts import check_batches
from lakehouse.derived.places import derived_place
from lakehouse.ending import removed_at_end
from lakehouse.errors import ConfigError, EntityNotFoundError, TableNotFoundError
from lakehouse.lake import Lake
from lakehouse.materialise.samples import media_field
from lakehouse.names import nearest
from lakehouse.params import Params, numbered
from lakehouse.query import Pins, query
from lakehouse.sql.contained import open_query
from lakehouse.sql.literals import sql_literals
from lakehouse.sql.session import ALL_NAMES
from lakehouse.streaming.spool import Spool
from lakehouse.tables.read import pin_heads
from lakehouse.tables.readers import reading
from lakehouse.tensors.registered import called_in
from lakehouse.views.behind import tables_of
from lakehouse.views.saved import with_saved
from loaders.format.fields import TYPES, Field, is_number_list
from schemas.canonical import canonical_json, sha256_text
from schemas.tables import BATCHES, BY_NAME, ENTITIES, OPINIONS, SAVED_VIEWS

WHERE = "the query"
ENTITY = "entity_id"

PLACES = """
select p.place, p.entity_id, e.entity_id is not null as is_known, e.media_type, e.object_uri, e.operation,
    e.parameters_json, o.object_uri as parent_uri, o.entity_id as parent_id
from picked p left join silver.entities e on e.entity_id = p.entity_id
left join silver.entities o on o.entity_id = e.parent_id and e.object_uri is null
order by p.place
"""
PLACED = pa.schema([("bytes", pa.string()), ("media_type", pa.string())])


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        text: One SELECT that returns `entity_id`.
        params: Values for `$name` in it.
        pins: Versions of the tables that it reads: table -> Delta version.
        rests_on: What else makes its rows: functions of the user's, as `name@version`, and the versions of tables that
            it reads `@commit`, which may name another commit tomorrow.
    """

    text: str
    params: Mapping[str, object]
    pins: Pins
    rests_on: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """64 hex digits of text, parameters and what else it rests on; the pins are told apart by name."""
        more = [list(self.rests_on)] if self.rests_on else []
        return sha256_text(canonical_json([self.text, sql_literals(self.params), *more]))


def question_of(lake: Lake, text: str, params: Params | None, pins: Pins | None) -> Question:
    """Return a query over tables as they are now, but for those that are pinned.

    Raises:
        ConfigError: If it names a commit that is none.
        QueryRefusedError: If it is not one query.
        TableError: If a table is damaged, or lacks opinions of an import.
    """
    # The batches before the opinions: an import writes them in the other order.
    batches = pin_heads(lake, [BATCHES.name])
    views = {**pin_heads(lake, [SAVED_VIEWS.name]), **(pins or {})}
    asked, text = text, with_saved(lake.home, text, pins=views)
    # What is read `@commit` has its versions already.
    at = at_commits(lake.home, text, known=ALL_NAMES)
    plain = at.text
    # `labels_at` reads what its policy asks for, which its text does not say.
    names = set(BY_NAME) if "labels_at" in text.lower() else tables_of(plain)
    heads = pin_heads(lake, names | {ENTITIES.name})
    if text != asked:  # other ranks are to find the same texts under the names
        heads[SAVED_VIEWS.name] = views[SAVED_VIEWS.name]
    if OPINIONS.name in heads:
        check_batches(lake, {**heads, **batches})
    named = {
        f"{table} {versions[table]}"
        for name, versions in at.named.values()
        for table in tables_of(f"select * from {name}") & versions.keys()
    }
    rests_on = (*sorted(each.key for each in called_in(text)), *sorted(named))
    return Question(text, dict(numbered(params)), {**heads, **(pins or {})}, rests_on)


class Rows:
    """The rows of a query, in order, without bytes; they lie in a folder that goes with them.

    Attributes:
        question: What was asked.
        fields: Columns of the query, as the loader's fields.
        content: Field of the entities' bytes: `image`, `audio` ..., by their kind; of several kinds `content`.
        order: 64 hex digits of the ids, in order.
    """

    def __init__(self, lake: Lake, question: Question) -> None:
        """Ask.

        Raises:
            ConfigError: If the query gives no row, or something that is no entity.
            EntityNotFoundError: If the bytes of an entity are kept nowhere.
            RecipeError: If a column is of a type that the loader does not know.
            TableNotFoundError: If a pin names no table.
            QueryRefusedError, QueryFailedError: As `user_query`.
            TableError: If a file of a table is missing or damaged.
        """
        if unknown := sorted(set(question.pins) - set(BY_NAME)):
            raise TableNotFoundError(f"no table `{unknown[0]}` to pin{nearest(unknown[0], BY_NAME)}")
        self.question = question
        self._ends = ExitStack()
        folder = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="petrel-stream-"))
        self._ends.enter_context(removed_at_end(Path(folder)))
        try:
            with reading(lake, question.pins, by="stream"):
                self._ask(lake, Path(folder))
        except BaseException:
            self.close()
            raise

    @property
    def count(self) -> int:
        """How many there are."""
        return self.values.rows

    def _ask(self, lake: Lake, folder: Path) -> None:
        given, nulls, ids = self.question, Counter[str](), hashlib.sha256()
        text = given.text.strip().rstrip(";")
        with open_query(
            lake.home, text, params=given.params, pins=given.pins, limits=lake.config.sql, engine=lake.config.engine,
            in_order=True,
        ) as answer:  # fmt: skip
            schema = _checked(answer.schema)

            def rows() -> Iterator[pa.RecordBatch]:
                for batch in answer:
                    columns = [_cast(batch.column(at), field) for at, field in enumerate(schema)]
                    nulls.update({name: each.null_count for name, each in zip(schema.names, columns, strict=True)})
                    cast = pa.RecordBatch.from_arrays(columns, schema=schema)
                    if nulls[ENTITY]:
                        raise ConfigError(f"{WHERE}: a row has no entity_id; add `where entity_id is not null`")
                    ids.update("".join(cast.column(ENTITY).to_pylist()).encode())
                    yield cast

            self.values = Spool(folder / "rows.arrow", schema, rows())
            self._ends.callback(self.values.close)
        if not self.values.rows:
            raise ConfigError(f"{WHERE} gives no row; run it with `petrel sql` to see why")
        self.order = ids.hexdigest()
        self.fields = tuple(_field(each.name, each.type, is_nullable=nulls[each.name] > 0) for each in schema)
        media: set[str] = set()
        self.places = Spool(folder / "places.arrow", PLACED, self._places(lake, media))
        self._ends.callback(self.places.close)
        self.content = media_field(pa.chunked_array([pa.array(sorted(media), pa.string())]))
        if self.content.name in schema.names:
            raise ConfigError(f"{WHERE}: column `{self.content.name}`: the bytes of entities come as this; rename it")

    def _places(self, lake: Lake, media: set[str]) -> Iterator[pa.RecordBatch]:
        ids = self.values.column(ENTITY)
        picked = ids.append_column("place", pa.array(range(ids.num_rows), pa.int64()))
        inputs = {"picked": lake.engine.from_arrow(picked)}
        placed = query(lake, PLACES, inputs=inputs, pins={ENTITIES.name: self.question.pins[ENTITIES.name]})
        for batch in lake.engine.stream(placed):
            found = [_bytes_at(row) for row in batch.to_pylist()]
            types = batch.column("media_type").cast(pa.string())
            media.update(str(each) for each in pc.unique(types).to_pylist())
            yield pa.RecordBatch.from_arrays([pa.array(found, pa.string()), types], schema=PLACED)

    def close(self) -> None:
        """Remove the rows."""
        self._ends.close()


def _checked(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a query as the loader has them."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise ConfigError(f"{WHERE} returns {', '.join(twice)} twice; give each a name of its own with `as`")
    if ENTITY not in schema.names:
        raise ConfigError(f"{WHERE} returns {', '.join(schema.names)}; it must return entity_id, whose bytes come")
    for name in schema.names:
        if not NAME.fullmatch(name) or name == "is_pad":
            raise ConfigError(f"{WHERE}: column `{name}` has a name that no field has; give it another with `as`")
    types = {each.name: field_type(f"{WHERE}: column `{each.name}`", each.type) for each in schema}
    if types[ENTITY] != "string":
        raise ConfigError(f"{WHERE}: entity_id is of type {types[ENTITY]}, expected text")
    return pa.schema([(name, TYPES[kind]) for name, kind in types.items()])


def _bytes_at(row: Mapping[str, object]) -> str:
    """Return where the bytes of an entity lie, as `read_derived` takes it."""
    entity = row[ENTITY]
    if not row["is_known"]:
        raise ConfigError(f"{WHERE}: row {row['place']}: {entity!r:.80} is no entity of this lake; join with entities")
    if row["object_uri"] is not None:
        return f"{row['object_uri']}#{entity}"
    if row["parent_uri"] is None:
        raise EntityNotFoundError(f"{WHERE}: row {row['place']}: the bytes of entity {entity} are kept nowhere")
    parent = f"{row['parent_uri']}#{row['parent_id']}"
    return derived_place(parent, str(row["operation"]), json.loads(str(row["parameters_json"] or "{}")))


def _cast(values: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{WHERE}: column `{field.name}`: a value is no {field.type}: {error}; cast it") from error


def _field(name: str, kind: pa.DataType, *, is_nullable: bool) -> Field:
    field = Field(name, kind, nullable=is_nullable, doc="Column of the query.")
    return replace(field, shape=(None,)) if is_number_list(kind) else field
