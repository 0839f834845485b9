"""What goes out: the entities that a query or a dataset selects, with what is said about them, in one order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.counts import check_batches, check_members
from lakehouse.datasets.find import DatasetVersion, find_dataset, read_members
from lakehouse.datasets.own_fields import own_fields, with_values
from lakehouse.datasets.policies.label import LABEL
from lakehouse.datasets.reads import tables_of
from lakehouse.datasets.recipe import NAME
from lakehouse.datasets.split_names import SPLIT, SPLIT_HELP
from lakehouse.engines import Relation
from lakehouse.erasures import erased_members
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from lakehouse.sql.contained import user_query
from lakehouse.tables.read import pin_heads
from lakehouse.tables.readers import reading
from schemas.tables import BATCHES, DATASET_MEMBERS, DATASETS, ENTITIES, OPINIONS

WHERE = "the selection"
ROLES = ("label", "split")
"""Columns of a selection that say where a sample lies; all others are values of its own."""

OF_QUERY = """
select p.entity_id, p.label, p.split, p.fields_json, cast(null as varchar) as answer_json,
    e.object_uri, e.media_type, e.size_bytes
from picked p left join silver.entities e on e.entity_id = p.entity_id
"""

IN_ORDER = """
select entity_id, label, split, fields_json, answer_json, object_uri, media_type, size_bytes
from selected order by split nulls first, entity_id
"""
"""Of splits one after the other; the same on every engine, so that an export that is run again finds its files."""

SELECTED = pa.schema([(name, pa.string()) for name in ("entity_id", "label", "split", "fields_json")])


@dataclass(frozen=True, slots=True)
class Row:
    """One entity on its way out.

    Attributes:
        entity_id: SHA-256 of its bytes.
        object_uri: Where they are; None if they are kept nowhere.
        media_type: What they are.
        size_bytes: How many.
        label: Its label; None if it has none.
        split: Its split; None if it is in none.
        fields: Values of its own as JSON has them, by name.
        answer: Answer that is no label, as JSON has it: boxes ...; None if there is none.
    """

    entity_id: str
    object_uri: str | None
    media_type: str
    size_bytes: int
    label: str | None
    split: str | None
    fields: Mapping[str, object]
    answer: object

    @property
    def place(self) -> str:
        """Where its bytes are, as `lakehouse.objects.read_entity` takes it."""
        return f"{self.object_uri}#{self.entity_id}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that was selected.

    Attributes:
        about: What selected it, for the record of the export: the query, or name and id of the dataset.
        rows: The entities, once each.
        count: Rows that were selected; those that are left out here included.
        left_out: Rule -> rows that are left out already: erased since, selected again, or without an id.
        roles: Which of label and split it has.
        classes: Labels in the order of their class numbers; () where nobody numbered them.
        answers: Whether rows may have an answer that is no label.
        fields: Name -> type of the values of its own.
    """

    about: Mapping[str, object]
    rows: Relation
    count: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    answers: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbers_labels(self) -> bool:
        """Whether its labels have class numbers."""
        return bool(self.classes) and "label" in self.roles


def select(lake: Lake, selection: str, params: Mapping[str, object] | None) -> Selection:
    """Return what a query, or a dataset by its name or version id, selects; every table that is read is verified.

    Raises:
        ConfigError: If nothing is selected, or something that is no entity of this lake.
        RecipeError: If there is no such dataset, or a column cannot be exported.
        QueryRefusedError, QueryFailedError: As `user_query`.
        TableError: If a file of a table is missing or damaged.
    """
    if NAME.fullmatch(selection):
        if params:
            raise ConfigError(f"`{selection}` names a dataset, and takes no parameters; they belong to a query")
        return _of_dataset(lake, selection)
    return _of_query(lake, selection, params or {})


def in_order(lake: Lake, selection: Selection) -> Iterator[Row]:
    """Yield what is selected, split by split and by entity, a batch in memory at a time."""
    ordered = query(lake, IN_ORDER, inputs={"selected": selection.rows})
    for batch in lake.engine.stream(ordered):
        for row in batch.to_pylist():
            fields, answer = row.pop("fields_json"), row.pop("answer_json")
            yield Row(**row, fields=json.loads(fields or "{}"), answer=None if answer is None else json.loads(answer))


def _of_dataset(lake: Lake, name: str) -> Selection:
    with reading(lake, pin_heads(lake, [DATASETS.name, DATASET_MEMBERS.name, ENTITIES.name]), by="export"):
        return _of_version(lake, find_dataset(lake, name))


def _of_version(lake: Lake, version: DatasetVersion) -> Selection:
    check_members(lake, version.dataset_id)
    erased = erased_members(lake.home, version.dataset_id).rows
    kind = version.answers
    is_label = kind is not None and kind.value_kind == LABEL.value_kind
    return Selection(
        about={"dataset": version.name, "dataset_id": version.dataset_id},
        rows=lake.engine.stage(read_members(lake, version.dataset_id)),
        count=version.members,
        left_out={"erased": erased} if erased else {},
        roles=("label", "split") if is_label else ("split",),
        classes=version.classes,
        answers=kind is not None and not is_label,
        fields=version.fields,
    )


def _of_query(lake: Lake, text: str, params: Mapping[str, object]) -> Selection:
    # The batches before the opinions: an import writes them in the other order.
    batches = pin_heads(lake, [BATCHES.name])
    pins = pin_heads(lake, tables_of(text) | {ENTITIES.name})
    if OPINIONS.name in pins:
        check_batches(lake, {**pins, **batches})
    with reading(lake, pins, by="export"):
        return _of_pinned(lake, text, params, pins)


def _of_pinned(lake: Lake, text: str, params: Mapping[str, object], pins: Pins) -> Selection:
    found = user_query(lake.home, text, params=params, pins=pins, limits=lake.config.sql)
    if found.column_names.count("entity_id") != 1:
        raise ConfigError(f"{WHERE} returns {', '.join(found.column_names)}; it must return one entity_id")
    roles = tuple(name for name in ROLES if name in found.column_names)
    fields = own_fields(WHERE, found.drop_columns(list(roles)))
    picked = _picked(found, roles, fields)
    if picked.num_rows == 0:
        raise ConfigError(f"{WHERE} selects no entity; run it with `petrel sql` to see why")
    rows = query(lake, OF_QUERY, inputs={"picked": lake.engine.from_arrow(picked)}, pins=pins)
    selected = lake.engine.stage(rows)
    _check_known(lake, selected)
    nameless = found["entity_id"].null_count
    left_out = {"no_entity_id": nameless, "selected_again": found.num_rows - nameless - picked.num_rows}
    return Selection(
        about={"query": text, "params": {name: str(value) for name, value in sorted(params.items())}},
        rows=selected,
        count=found.num_rows,
        left_out={rule: count for rule, count in left_out.items() if count},
        roles=roles,
        fields=fields,
    )


def _picked(found: pa.Table, roles: tuple[str, ...], fields: Mapping[str, str]) -> pa.Table:
    for name in roles:
        if not pa.types.is_string(found[name].type) and found[name].null_count < found.num_rows:
            raise ConfigError(f"{WHERE}: {name} is of type {found[name].type}; cast it to varchar")
    for name in pc.unique(found["split"]).drop_null().to_pylist() if "split" in roles else []:
        if not SPLIT.fullmatch(name):
            raise ConfigError(f"{WHERE}: a split is called {name!a:.80}; {SPLIT_HELP}")
    once = with_values(WHERE, found, {**fields, **dict.fromkeys(roles, "string")})
    rows = []
    for entity_id, text in zip(once["entity_id"].to_pylist(), once["fields_json"].to_pylist(), strict=True):
        values = json.loads(text or "{}")
        stated = {name: values.pop(name) for name in roles}
        rows.append({"entity_id": entity_id, "fields_json": json.dumps(values) if values else None, **stated})
    return pa.Table.from_pylist(rows, schema=SELECTED)


def _check_known(lake: Lake, selected: Relation) -> None:
    text = "select count(*) as n, min(entity_id) as example from selected where media_type is null"
    strange = fetch(lake, text, inputs={"selected": selected})[0]
    if strange["n"]:
        raise ConfigError(
            f"{WHERE}: {strange['n']} of its ids, for example {strange['example']!a:.80}, are no entities of this "
            "lake; join with entities"
        )
