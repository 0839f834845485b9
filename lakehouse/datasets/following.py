"""Following a recipe as far as nothing is written: what it reads, whom it considers, and what may not be."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pyarrow as pa

from lakehouse.datasets.hearing.answers import heard_opinions, kind_asked, tally
from lakehouse.datasets.hearing.classes import classes_of
from lakehouse.datasets.likeness.duplicates import NearDuplicates, near_duplicates, one_of_each, tell
from lakehouse.datasets.placing.fixed import Fixed, fixed_splits
from lakehouse.datasets.placing.groups import LeakGroups, leak_groups
from lakehouse.datasets.placing.official import Official, assigned, official_splits, without_column
from lakehouse.datasets.placing.placed import placed
from lakehouse.datasets.plan import consider
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.select import ALL
from lakehouse.datasets.sampling.sampled import kind_of_samples, sampled_by
from lakehouse.datasets.sampling.varied import check_varied
from lakehouse.datasets.selecting.changed import Held, held_by_changes, within
from lakehouse.datasets.selecting.filters import check_filters, models_heard, models_said
from lakehouse.datasets.selecting.named_commits import KNOWN, check_at, named_in, versions_at
from lakehouse.datasets.selecting.narrowing import check_columns, narrowed
from lakehouse.datasets.selecting.own_fields import check_names, own_fields, with_values
from lakehouse.datasets.versions.noted import NotedInputs, note_inputs, noted_inputs
from lakehouse.datasets.versions.reads import tables_read
from lakehouse.datasets.versions.version import Inputs, inputs_of, pin
from lakehouse.derived.places import IS_REFERENCE
from lakehouse.engines import Relation
from lakehouse.engines.gate import check_query
from lakehouse.errors import ConfigError, QueryFailedError, QueryRefusedError, RecipeError
from lakehouse.lake import Lake, scans
from lakehouse.query import Pins, fetch, query
from lakehouse.sql.contained import user_query
from lakehouse.steps.step import StepRecord
from lakehouse.strangers import strangers
from lakehouse.tables.read import digest_at, pin_heads, whole
from schemas.tables import BATCHES, BY_NAME, DERIVATIONS, ENTITIES

OF_TIME = ("intervals", "tracks")
"""Kinds of answers that say when something is."""

REFERENCES = f"select e.entity_id from silver.entities e where {IS_REFERENCE} limit 1"

PICKED_REFERENCES = f"""
select e.entity_id from silver.entities e semi join picked p on p.entity_id = e.entity_id where {IS_REFERENCE} limit 1
"""

EVERYTHING = "select entity_id, cast(null as varchar) as fields_json from silver.entities"


@dataclass(frozen=True, slots=True)
class Read:
    """What a recipe reads, and the id that follows from it.

    Attributes:
        recipe: The recipe.
        kind: Kind of the answers that are heard; None if it asks no question.
        inputs: Pins, digests and contracts.
        heard: Actors and opinions that the policy hears; None if it asks no question.
        classes: Labels by their class numbers.
        groups: Leak groups; None without any.
        official: Splits that the data states; None without any.
        near: Near-duplicates; None if none are looked for.
        fixed: Members of other versions whose split is fixed; None without any.
        dataset_id: Id of the version.
        held: What the changes of a virtual dataset come to; None without any.
        models: What the models of `select.hard` said; None without any.
    """

    recipe: Recipe
    kind: AnswerKind | None
    inputs: Inputs
    heard: tuple[Relation, Relation] | None
    classes: tuple[str, ...]
    groups: LeakGroups | None
    official: Official | None
    near: NearDuplicates | None
    fixed: Fixed | None
    dataset_id: str
    held: Held | None = None
    models: Relation | None = None

    @property
    def answers(self) -> AnswerKind | None:
        """Kind of the answers that samples have; None if they have none."""
        return kind_of_samples(self.recipe.samples, self.kind)


def pinned(lake: Lake, recipe: Recipe, pins: Pins | None = None) -> tuple[Pins, Pins]:
    """Return the version of silver.batches, and those of what a recipe reads: the newest, or those of `pins`.

    Batches come first: an import writes them the other way. What the selection reads as a commit has it is looked at,
    and is none of these.

    Args:
        lake: The lake.
        recipe: One that names commits by their ids (`lakehouse.datasets.selecting.named_commits.by_ids`).
        pins: Versions to read.

    Raises:
        VersionUnavailableError: If a version of `pins`, or of a commit, is gone.
        TableError: If a file is missing or damaged.
    """
    check_at(lake, recipe, versions_at(lake.home, recipe))
    if pins is None:
        batches = pin_heads(lake, [BATCHES.name])
        return batches, pin(lake, recipe)
    names = tables_read(recipe) | ({DERIVATIONS.name} & pins.keys())
    stated = {name: whole(lake, BY_NAME[name], pins[name]) for name in (BATCHES.name, *sorted(names))}
    return {BATCHES.name: stated.pop(BATCHES.name)}, stated


def version_id(lake: Lake, recipe: Recipe, pins: Pins) -> str:
    """Return the id of the version that a recipe gives at these pins; no row is read where it is noted.

    Raises:
        RecipeError: As `lakehouse.datasets.build.build`.
    """
    noted = noted_inputs(lake, recipe, kind_asked(lake, recipe, pins), pins)
    return read_inputs(lake, recipe, pins).dataset_id if noted is None else noted.dataset_id


def read_inputs(lake: Lake, recipe: Recipe, pins: Pins) -> Read:
    """Return what a recipe reads at these pins; no entity is looked at.

    Raises:
        RecipeError: As `lakehouse.datasets.build.build`.
    """
    with scans(lake) as scanned:
        kind = kind_asked(lake, recipe, pins)
        noted = noted_inputs(lake, recipe, kind, pins)
        read = _read_inputs(lake, recipe, kind, pins, noted)
        if noted is None:
            note_inputs(lake, recipe, kind, NotedInputs(read.inputs, read.classes, read.dataset_id), scanned)
    return read


def _read_inputs(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, pins: Pins, noted: NotedInputs | None
) -> Read:
    heard = None if kind is None else heard_opinions(lake, recipe, kind, pins)
    near = near_duplicates(lake, recipe, pins)
    groups = leak_groups(lake, recipe, near, pins)
    fixed = fixed_splits(lake, recipe)
    official = official_splits(lake, recipe, pins)
    if noted is not None:
        classes = noted.classes
    else:
        classes = () if kind is None or heard is None else classes_of(lake, recipe, kind, pins, heard[1])
    check_filters(recipe, kind, classes)
    _check_cut(recipe, kind)
    check_varied(recipe, kind_of_samples(recipe.samples, kind), classes)
    models = models_heard(lake, recipe, pins)
    held = held_by_changes(lake, recipe, pins)
    inputs = noted.inputs if noted is not None else inputs_of(
        lake, recipe, pins, kind=kind, heard=heard, classes=classes, groups=groups, official=official, held=held,
        near=near, fixed=fixed, models=models, decodes=groups is not None and _decodes(lake, recipe, kind, held, pins),
    )  # fmt: skip
    found = inputs.version_id(recipe)
    return Read(recipe, kind, inputs, heard, classes, groups, official, near, fixed, found, held, models)


def has_references(lake: Lake, pins: Pins) -> bool:
    """Tell whether there are entities whose bytes are decoded from their parent whenever they are wanted."""
    return bool(fetch(lake, REFERENCES, pins=pins))


def _decodes(lake: Lake, recipe: Recipe, kind: AnswerKind | None, held: Held | None, pins: Pins) -> bool:
    """Tell whether such are selected: then what decodes them is part of the id, as clips have it.

    One that was made of another is in a leak group with it: without groups there are none.
    """
    if not has_references(lake, pins):
        return False
    picked, _, _ = _selected(lake, recipe, kind_of_samples(recipe.samples, kind), pins)
    picked = narrowed(lake, recipe, within(lake, recipe, picked, held), pins, StepRecord())
    return bool(fetch(lake, PICKED_REFERENCES, inputs={"picked": picked}, pins=pins))


def _selected(
    lake: Lake, recipe: Recipe, answers: AnswerKind | None, pins: Pins
) -> tuple[Relation, pa.Table, dict[str, str]]:
    """Return what `select.sql` gives: entity_id and fields_json; all of its columns, where it ran; and own fields."""
    if takes_all(recipe):
        # What nobody wrote needs no process of its own: a million ids took it 3 s of processor.
        return _everything(lake, recipe, pins), _no_rows(), {}
    selection = _selection(lake, recipe, pins)
    picked, fields = _picked(lake, recipe, without_column(recipe, selection), answers, pins)
    return picked, selection, fields


def _check_cut(recipe: Recipe, kind: AnswerKind | None) -> None:
    if recipe.audio.max_seconds is not None and kind is not None and kind.name in OF_TIME:
        raise RecipeError(
            f"recipe {recipe.name}: audio.max_seconds cuts recordings, and answers of kind {kind.name} are of times in "
            "them, which nothing moves; leave it out"
        )


def considered_by(
    lake: Lake, read: Read, record: StepRecord, *, counting: bool = False, staged: bool = True
) -> tuple[Relation, dict[str, str]]:
    """Return every selected entity with its answer, stratum, group, split and reason if it is out; and own fields.

    Args:
        lake: The lake.
        read: From `read_inputs`.
        record: Gets notes about names of official splits that nothing has.
        counting: Leave out what only members keep.
        staged: Compute the rows, once; else whoever asks for some of them.

    Raises:
        RecipeError: As `lakehouse.datasets.build.build`.
    """
    recipe, pins = read.recipe, read.inputs.pins
    votes = None if read.kind is None or read.heard is None else tally(lake, recipe, read.kind, read.heard[1])
    picked, selection, fields = _selected(lake, recipe, read.answers, pins)
    check_names(f"recipe {recipe.name}: fields", recipe.fields.named, read.answers, fields)
    selected = picked
    picked = within(lake, recipe, picked, read.held)
    picked = narrowed(lake, recipe, picked, pins, record)
    stated: Relation | None
    if read.official is not None:
        stated = assigned(lake, recipe, read.official, selection, read.groups, pins, record)
    else:
        stated = placed(lake, recipe, read.fixed, picked, selection, read.groups, pins)
    if read.near is not None:
        tell(lake, recipe, read.near, picked, pins, record)
    considering = functools.partial(
        consider,
        lake,
        groups=None if read.groups is None else read.groups.rows,
        official=stated,
        models=None if read.models is None else models_said(lake, recipe, read.models, pins),
        pins=pins,
    )
    sampled = sampled_by(lake, recipe, picked, votes, pins, kind=read.kind, own=fields, considering=considering)
    considered = considering(
        recipe, sampled.rows, kind=read.answers, tally=sampled.tally, derived=sampled.derived, counting=counting,
        staged=staged, everything=sampled.rows is selected and takes_all(recipe),
    )  # fmt: skip
    return one_of_each(lake, recipe, read.near, considered, pins), fields


def check_selection(recipe: Recipe) -> None:
    """Refuse a selection that is not one query that only reads, or has conditions that no column can meet.

    Raises:
        QueryRefusedError: If it is not.
        RecipeError: If a condition is on a column that does not exist, or that holds values of another type; or
            `name@commit` is of no table or view.
    """
    check_columns(recipe)
    try:
        named = named_in(recipe.select.sql)
        check_query(named.text, known={*KNOWN, *named.named})
    except QueryRefusedError as error:
        hint = ""
        if "no table or view" in str(error):
            hint = "; a saved view is none in a recipe, which holds its text: `petrel views show NAME` prints it"
        raise QueryRefusedError(f"recipe {recipe.name}: select.sql: {error}{hint}") from error
    except ConfigError as error:
        raise RecipeError(f"recipe {recipe.name}: select.sql: {error}") from error


def _selection(lake: Lake, recipe: Recipe, pins: Pins) -> pa.Table:
    # People's SQL runs in DuckDB whichever engine does the rest: Spark SQL can start programs and read secrets.
    try:
        found = user_query(lake.home, recipe.select.sql, params=recipe.select.params, pins=pins, limits=lake.config.sql)
    except QueryFailedError as error:
        raise RecipeError(f"recipe {recipe.name}: select.sql: {error}") from error
    if found.column_names.count("entity_id") > 1:
        raise RecipeError(f"recipe {recipe.name}: select.sql returns entity_id more than once; name one column of them")
    if "entity_id" not in found.column_names:
        raise RecipeError(
            f"recipe {recipe.name}: select.sql returns {', '.join(found.column_names)}; it must return entity_id"
        )
    return found


def takes_all(recipe: Recipe) -> bool:
    """Tell whether the selection is that which nobody wrote: all entities, and no column of its own."""
    return recipe.select.sql == ALL and not (recipe.select.params or recipe.split.official or recipe.split.time)


def _everything(lake: Lake, recipe: Recipe, pins: Pins) -> Relation:
    if digest_at(lake, ENTITIES, pins[ENTITIES.name]).rows == 0:
        raise RecipeError(_nothing(recipe))
    return query(lake, EVERYTHING, pins=pins)


def _no_rows() -> pa.Table:
    # Not from a list: for values of Python's pyarrow imports pandas, a third of a second.
    return pa.Table.from_arrays([pa.nulls(0).cast(pa.string())], ["entity_id"])


def _nothing(recipe: Recipe) -> str:
    return f"recipe {recipe.name}: select.sql selects no entity; run it with `petrel sql` to see why"


def _picked(
    lake: Lake, recipe: Recipe, selection: pa.Table, kind: AnswerKind | None, pins: Pins
) -> tuple[Relation, dict[str, str]]:
    where = f"recipe {recipe.name}: select.sql"
    fields = own_fields(where, selection, kind)
    ids = with_values(where, selection, fields)
    if ids.num_rows == 0:
        raise RecipeError(_nothing(recipe))
    picked = lake.engine.from_arrow(ids)
    strange, example = strangers(lake, picked, pins)
    if strange:
        raise RecipeError(
            f"recipe {recipe.name}: {strange} of {ids.num_rows} ids that select.sql returns, for example "
            f"{example!r}, are no entities of this lake; join with entities"
        )
    return picked, fields


def split_counts(lake: Lake, recipe: Recipe, members: Relation) -> dict[str, int]:
    """Return split -> members: of official splits those that there are, else those of the ratios, empty ones too."""
    text = "select split, count(*) as n from members group by split"
    found = {row["split"]: row["n"] for row in fetch(lake, text, inputs={"members": members})}
    if recipe.split.official:
        return dict(sorted(found.items()))
    return {split: found.get(split, 0) for split in dict.fromkeys([*recipe.split.shares, *sorted(recipe.split.fixed)])}
