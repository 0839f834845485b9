"""What goes out: the entities that a query or a dataset selects, with what is said about them, in one order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.datasets.placing.split_names import SPLIT, SPLIT_HELP
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.selecting.own_fields import own_fields, with_values
from lakehouse.datasets.versions.counts import check_batches, check_members
from lakehouse.datasets.versions.find import DatasetVersion, find_dataset, read_members
from lakehouse.datasets.versions.named import NAMED
from lakehouse.derived.places import PLACE, REFERENCED, derived_place
from lakehouse.engines import Relation
from lakehouse.erasures import erased_members
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.opinions.exporting.ontology import ontology_of
from lakehouse.opinions.formats.writer import ClassNumbers, Ontology
from lakehouse.query import Pins, fetch, query
from lakehouse.sql.contained import user_query
from lakehouse.tables.read import pin_heads
from lakehouse.tables.readers import reading
from lakehouse.views.behind import tables_of
from lakehouse.views.saved import with_saved
from schemas.tables import BATCHES, DATASET_MEMBERS, DATASETS, ENTITIES, OPINIONS

WHERE = "the selection"
REGIONS = "regions"
ROLES = ("label", "split")
"""Columns of a selection that say where a sample lies; all others are values of its own."""

OF_QUERY = f"""
select s.entity_id, s.label, s.split, s.fields_json, cast(null as varchar) as answer_json,
    {PLACE} as place, e.media_type, e.size_bytes, e.entity_id as source_id,
    cast(null as varchar) as operation, cast(null as varchar) as parameters_json
from picked s left join silver.entities e on e.entity_id = s.entity_id
{REFERENCED}
"""

IN_ORDER = """
select entity_id, label, split, fields_json, answer_json, place as source_place, media_type, size_bytes, source_id,
    operation, parameters_json
from selected order by split nulls first, entity_id
"""
"""Of splits one after the other; the same on every engine, so that an export that is run again finds its files."""

SELECTED = pa.schema([(name, pa.string()) for name in ("entity_id", "label", "split", "fields_json")])


AS_LANDED = (
    "the recipe states what is stored ([image], [audio]), and a manifest names files, and what lies in them, as they "
    "were landed; other formats, and `petrel materialise`, write them as stated"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One entity on its way out.

    Attributes:
        entity_id: SHA-256 of its bytes; of a sample that is made of an entity its id as a derived one.
        source_place: Where those of the entity that it is, or is made of, come from; None: from nowhere.
        media_type: What they are.
        size_bytes: How many; of what is made only known once they are.
        label: Its label; None if it has none.
        split: Its split; None if it is in none.
        fields: Values of its own as JSON has them, by name.
        answer: Answer that is no label, as JSON has it: boxes ...; None if there is none.
        source_id: The entity that it is, or is made of.
        operation: What is done to these; None: nothing.
        parameters_json: Of the operation; None: nothing is done.
        is_encoded: Whether its bytes are encoded anew.
    """

    entity_id: str
    source_place: str | None
    media_type: str
    size_bytes: int
    label: str | None
    split: str | None
    fields: Mapping[str, object]
    answer: object
    source_id: str = ""
    operation: str | None = None
    parameters_json: str | None = None
    is_encoded: bool = False

    @property
    def is_made(self) -> bool:
        """Whether its bytes are made as they are read, and are no file that was landed."""
        return self.operation is not None or self.is_encoded

    @property
    def place(self) -> str:
        """Where its bytes come from, as `lakehouse.derived.reading.read_derived` takes it."""
        parent = str(self.source_place)
        if self.operation is None:
            return parent
        return derived_place(parent, self.operation, json.loads(self.parameters_json or "{}"))


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
        kind: Kind of these answers (`AnswerKind.name`); "": it has none.
        ontology: What their question asks for, its labels those of `classes`; of answers that are objects in pictures.
        version: The dataset version; None of a query.
        stored_by: The versions that its bytes are encoded with, and how; None: they are as they were landed.
        reader: Gives the bytes of a row by its place, where they are encoded anew.
    """

    about: Mapping[str, object]
    rows: Relation
    count: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    answers: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    ontology: Ontology = field(default_factory=Ontology)
    version: DatasetVersion | None = None
    stored_by: Sequence[object] | None = None
    reader: Callable[[str], bytes] | None = None

    @property
    def numbers(self) -> ClassNumbers:
        """Label -> class number."""
        return ClassNumbers({label: place for place, label in enumerate(self.classes)})

    def number_of(self, row: Row) -> int | None:
        """Return the class number of a row's label; None if it has none."""
        return None if row.label is None else self.classes.index(row.label)

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
    if NAMED.fullmatch(selection):
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
            said = None if answer is None else json.loads(answer)
            is_encoded = selection.stored_by is not None
            yield Row(**row, fields=json.loads(fields or "{}"), answer=said, is_encoded=is_encoded)


def _of_dataset(lake: Lake, name: str) -> Selection:
    with reading(lake, pin_heads(lake, [DATASETS.name, DATASET_MEMBERS.name, ENTITIES.name]), by="export"):
        return _of_version(lake, find_dataset(lake, name))


def _of_version(lake: Lake, version: DatasetVersion) -> Selection:
    check_members(lake, version.dataset_id)
    erased = erased_members(lake.home, version.dataset_id).rows
    kind = version.answers
    if version.followed.samples.of == "windows":
        raise ConfigError(
            f"dataset {version.name} ({version.dataset_id}): its samples are windows of several entities, which no "
            "form of export holds; materialise it, or export its entities by a query over member_entities"
        )
    is_label = kind is not None and kind.one_label
    return Selection(
        about={"dataset": version.name, "dataset_id": version.dataset_id},
        rows=lake.engine.stage(read_members(lake, version.dataset_id)),
        count=version.members,
        left_out={"erased": erased} if erased else {},
        roles=("label", "split") if is_label else ("split",),
        classes=version.classes,
        answers=kind is not None and not is_label,
        fields=version.fields,
        kind="" if kind is None or is_label else kind.name,
        ontology=_ontology(lake, version) if kind is not None and _is_of_objects(kind) else Ontology(),
        version=version,
    )


def _is_of_objects(kind: AnswerKind) -> bool:
    return kind.value_kind == REGIONS and not kind.one_label


def _ontology(lake: Lake, version: DatasetVersion) -> Ontology:
    """Return what the question of a version asks for, with the version's own classes, numbers and keypoints."""
    found = ontology_of(lake, str(version.recipe["question"]))
    said = cast("Mapping[str, Any]", version.constraints)
    return replace(
        found,
        labels=version.classes,
        numbers={label: place for place, label in enumerate(version.classes)},
        keypoints=tuple(said.get("keypoints", found.keypoints)),
        skeleton=tuple((a, b) for a, b in said.get("skeleton", found.skeleton)),
    )


def _of_query(lake: Lake, text: str, params: Mapping[str, object]) -> Selection:
    text = with_saved(lake.home, text)
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
