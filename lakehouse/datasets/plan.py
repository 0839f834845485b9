"""Who is considered, in which cell and group, who is out and why, and who goes where, as SQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from lakehouse.datasets.choosing.bins import NUMBERS, bin_params, bin_sql, check_bins, edges_of
from lakehouse.datasets.policies.kind import AnswerKind, Reason
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.strata import group_key
from lakehouse.datasets.selecting.filters import filter_params, filter_reasons
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import kind_of_type, media_kinds
from lakehouse.media.kinds.video import VIDEO
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query
from lakehouse.views.registry import SHARED_TEXT_KINDS, wide_kinds
from schemas.canonical import BUCKET_BITS
from schemas.tables import ENTITIES

CONSIDERED = """
select {columns}, case when reason is null then {split} end as split from (
select {thing} as entity_id, {group} as group_id, {place} as place, {official} as official, {stratum} as stratum,
    {rest} as rest,
    t.label, t.label_share, t.label_votes, t.all_votes, t.answer_json, t.problem_detail, p.fields_json,
    {derived},
    case {reasons} end as reason
from {picked}
{votes}
{models}
{groups}
{splits}
) judged
"""

COUNTED = (
    "entity_id", "group_id", "stratum", "rest", "size_bytes", "label", "all_votes", "problem_detail", "reason",
    "parent_ids",
)
"""What is known of everything that is considered, and enough to count who would be in; `split` comes with it."""

KEPT = (
    "label_share", "label_votes", "answer_json", "fields_json", "operation", "parameters_json"
)
"""What members keep beside it."""

UNFIT = (
    Reason(
        "not_a_picture",
        "$pictures and not starts_with(e.media_type, 'image/')",
        "'others that were selected are pictures, and a dataset holds one kind'",
    ),
    Reason(
        "another_kind",
        "$kind_prefix <> '' and not starts_with(e.media_type, $kind_prefix)",
        "'others that were selected are of a kind of media that it is not of, and a dataset holds one kind'",
    ),
    Reason(
        "deep_pixels",
        "$rgb and e.pixel_type <> 'uint8'",
        "'more than 8 bits, which RGB would cut off; pixels = \"native\" under [image] takes it as it is'",
    ),
)
UNPLACED = (
    Reason("missing_stratum", "{stratum} is null", "'a stratum column is NULL'"),
    Reason("several_splits", "{several}", "'it, or its leak group, is in several official or fixed splits'"),
    Reason("no_time", "$timed and {official} is null", "'it has no time by which it could be split'"),
    Reason("no_split", "$split_stated and {official} is null", "'nothing states its split'"),
)


def reasons_of(recipe: Recipe, kind: AnswerKind | None) -> tuple[Reason, ...]:
    """Return why an entity may be left out, in the order in which reasons are given: the first that applies counts.

    What `kind` decides for each entity (`problem`) stands behind its own reasons.
    """
    return (*UNFIT, *(() if kind is None else kind.reasons), *filter_reasons(recipe), *UNPLACED)


PICKED = "picked p join {entities} e on e.entity_id = p.{source}"

EVERYTHING = "{entities} e cross join (select cast(null as varchar) as fields_json) p"
"""In place of a join of all entities with themselves."""

MEDIA_TYPES = "select distinct media_type from silver.entities"

PICKED_TYPES = f"{MEDIA_TYPES} e semi join picked p on p.{{source}} = e.entity_id"


def split_ranges(ratios: Mapping[str, float]) -> list[tuple[str, int]]:
    """Return (split, first bucket after it) in the order of the ratios; the last one ends at 2**52.

    Integer limits, so that every engine and Python cut at the same place.
    """
    # Shares may add up to a little more than 1 before the last, which may be 0.
    ends = [min(round(total * (1 << BUCKET_BITS)), 1 << BUCKET_BITS) for total in itertools.accumulate(ratios.values())]
    ends[-1] = 1 << BUCKET_BITS
    return list(zip(ratios, ends, strict=True))


def check_strata_columns(recipe: Recipe) -> None:
    """Refuse strata by a column that does not exist, or whose values have no text that all engines share.

    Raises:
        RecipeError: See above; the message names the column.
    """
    kinds = wide_kinds()
    check_bins(recipe, kinds)
    for name in recipe.strata.by:
        if name == "label" or name in recipe.strata.bins or group_key(name):
            continue
        if name not in kinds:
            raise RecipeError(f"recipe {recipe.name}: strata.by: no column `{name}`{nearest(name, kinds)}")
        if kinds[name] not in SHARED_TEXT_KINDS:
            binned = f", or give it bins, as strata.bins.{name} = 4" if kinds[name] in NUMBERS else ""
            raise RecipeError(
                f"recipe {recipe.name}: strata.by: `{name}` is of kind {kinds[name]}; use a column of text, whole "
                f"numbers or booleans{binned}"
            )


def consider(
    lake: Lake,
    recipe: Recipe,
    picked: Relation,
    *,
    kind: AnswerKind | None,
    tally: Relation | None,
    groups: Relation | None,
    official: Relation | None = None,
    models: Relation | None = None,
    derived: bool = False,
    everything: bool = False,
    pins: Pins,
    counting: bool = False,
    staged: bool = True,
) -> Relation:
    """Return every picked entity with its label, stratum, group, split and, if it is out, the reason.

    Those that are derived of others (`derived`) have rows of `lakehouse.datasets.sampling.rows.SAMPLES`: what is
    known of the entity that one is of is known of it, but for the answer, which is its own.

    Where `picked` is `everything` there is, it is not looked at row by row. With `counting` what members keep of their
    answers is left out, as nobody reads it; `staged` rows are computed once.
    """
    stratum = _joined(recipe, recipe.strata.by)
    wide = any(name not in {"label", *ENTITIES.column_names} and not group_key(name) for name in recipe.strata.by)
    if official is None:
        stated = {"official": "cast(null as varchar)", "several": "false"}
    else:
        stated = {"official": "o.split", "several": "coalesce(o.several, false)"}
    source, entities = "source_id" if derived else "entity_id", "entities_wide" if wide else "silver.entities"
    thing = "e.entity_id" if everything else "p.entity_id"
    text = CONSIDERED.format(
        columns=", ".join(COUNTED if counting else (*COUNTED, *KEPT)),
        split=split_sql(recipe),
        stratum=stratum,
        rest=_joined(recipe, [name for name in recipe.strata.by if name != "label"]),
        reasons=" ".join(_cases(recipe, kind, derived, stratum=stratum, **stated)),
        official=stated["official"],
        splits="" if official is None else "left join official o on o.entity_id = e.entity_id",
        votes=UNLABELLED if tally is None else f"left join tally t on t.entity_id = {thing}",
        group="e.entity_id" if groups is None else "coalesce(g.group_id, e.entity_id)",
        place="e.entity_id" if groups is None else "coalesce(g.anchor_id, e.entity_id)",
        groups="" if groups is None else "left join leak_groups g on g.entity_id = e.entity_id",
        models=UNSAID if models is None else "left join models m on m.entity_id = e.entity_id",
        thing=thing,
        picked=(EVERYTHING if everything else PICKED).format(entities=entities, source=source),
        derived=DERIVED if derived else UNDERIVED,
    )
    inputs = {"picked": picked}
    if groups is not None:
        inputs["leak_groups"] = groups
    if tally is not None:
        inputs["tally"] = tally
    if official is not None:
        inputs["official"] = official
    if models is not None:
        inputs["models"] = models
    # Each as often as it has samples.
    sources = query(lake, SOURCES, inputs={"picked": picked}) if derived else picked
    of_videos = recipe.samples.of == "clips"
    prefix = VIDEO.prefix if of_videos else _prefix(_media_types(lake, picked, source, pins))
    params = {
        "split_seed": recipe.seed,
        **({} if kind is None else kind.params(recipe.label)),
        **bin_params(recipe, edges_of(lake, recipe, sources, pins)),
        "rgb": recipe.image.pixels == "rgb",
        "pictures": prefix == IMAGE.prefix,
        "kind_prefix": prefix,
        "split_stated": bool(recipe.split.official),
        "timed": bool(recipe.split.time),
        **filter_params(recipe),
        **{f"key_{place}": group_key(name) for place, name in enumerate(recipe.strata.by) if group_key(name)},
        "escape": "\\",
        "escaped_escape": "\\\\",
        "escaped_bar": "\\|",
    }
    rows = query(lake, text, inputs=inputs, params=params, pins=pins)
    return lake.engine.stage(rows) if staged else rows


def _media_types(lake: Lake, picked: Relation, source: str, pins: Pins) -> list[str]:
    found = [row["media_type"] for row in fetch(lake, MEDIA_TYPES, pins=pins)]
    if len(found) < 2:
        return found  # whoever is picked
    text = PICKED_TYPES.format(source=source)
    return [row["media_type"] for row in fetch(lake, text, inputs={"picked": picked}, pins=pins)]


def _prefix(media_types: Sequence[str]) -> str:
    """Return the beginning of the media types of the one kind that a dataset of these holds; "": of no kind.

    The first kind in the order of the registry: pictures before recordings, and both before files of no kind.
    """
    kinds = media_kinds()
    found = [kind for media_type in media_types if (kind := kind_of_type(kinds, media_type)) is not None]
    return min(found, key=kinds.index).prefix if found else ""


DERIVED = "p.parent_ids, p.operation, p.parameters_json, p.size_bytes"

UNDERIVED = """
    cast(null as varchar[]) as parent_ids, cast(null as varchar) as operation,
    cast(null as varchar) as parameters_json, e.size_bytes
"""

SOURCES = "select source_id as entity_id from picked"

UNSAID = """
cross join (select cast(null as double) as confidence, cast(null as varchar) as said) m
"""

UNLABELLED = """
cross join (
    select cast(null as varchar) as label, cast(null as double) as label_share,
        cast(null as map(varchar, bigint)) as label_votes, cast(null as bigint) as all_votes,
        cast(null as varchar) as answer_json, cast(null as varchar) as problem_detail
) t
"""


def _cases(recipe: Recipe, kind: AnswerKind | None, derived: bool, **places: str) -> Iterator[str]:
    unplaced = UNPLACED[0]
    for each in reasons_of(recipe, kind):
        if each is unplaced and (derived or (kind is not None and kind.decide is not None)):
            yield "when t.problem is not null then t.problem"
        yield f"when {each.when.format(**places)} then '{each.name}'"


def _joined(recipe: Recipe, columns: Sequence[str]) -> str:
    parts = [_cell_part(recipe, name) for name in columns]
    if len(parts) > 1:
        # Else the values `a|b`, `c` and `a`, `b|c` would be one cell.
        parts = [f"replace(replace({part}, $escape, $escaped_escape), '|', $escaped_bar)" for part in parts]
    # concat_ws skips NULL; `||` keeps it, so that a missing value is noticed and not merged with another cell.
    return " || '|' || ".join(parts) or "''"


def _cell_part(recipe: Recipe, name: str) -> str:
    if name in recipe.strata.bins:
        return bin_sql(recipe, name)
    if group_key(name):
        return f"e.group_keys[$key_{recipe.strata.by.index(name)}]"
    return f"cast({'t.cell' if name == 'label' else f'e.{name}'} as varchar)"


def split_sql(recipe: Recipe) -> str:
    """Return SQL over the `place` and the `official` split of an entity that gives its split."""
    if recipe.split.official or recipe.split.time:
        return "official"
    by_hash = _by_hash(recipe)
    return f"coalesce(official, {by_hash})" if recipe.split.fixed else by_hash


def _by_hash(recipe: Recipe) -> str:
    ranges = split_ranges(recipe.split.shares)
    # Salted, so that the place in the quota and the split are independent choices.
    bucket = "petrel_bucket(concat('split|', place), $split_seed)"
    cases = " ".join(f"when {bucket} < {end} then '{name}'" for name, end in ranges[:-1])
    return f"case {cases} else '{ranges[-1][0]}' end" if cases else f"'{ranges[-1][0]}'"
