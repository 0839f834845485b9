"""Who is in, who is out and why, and who goes where: the pure part of a build, as SQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from lakehouse.datasets.bins import NUMBERS, bin_params, bin_sql, check_bins, edges_of
from lakehouse.datasets.policies.kind import AnswerKind, Reason
from lakehouse.datasets.recipe import Recipe
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.media.kinds.image import IMAGE
from lakehouse.media.kinds.registry import kind_of_type, media_kinds
from lakehouse.names import nearest
from lakehouse.query import Pins, fetch, query
from lakehouse.views.registry import SHARED_TEXT_KINDS, wide_kinds
from schemas.canonical import BUCKET_BITS
from schemas.tables import ENTITIES

CONSIDERED = """
select e.entity_id, {group} as group_id, {place} as place, {official} as official, {stratum} as stratum,
    t.label, t.label_share, t.label_votes, t.all_votes, t.answer_json, t.problem_detail, p.fields_json,
    petrel_bucket(e.entity_id, $seed) as bucket,
    case {reasons} end as reason
from picked p
join {entities} e on e.entity_id = p.entity_id
{votes}
{groups}
{splits}
"""


UNFIT = (
    Reason("not_a_picture", "$pictures and not starts_with(e.media_type, 'image/')",
           "'others that were selected are pictures, and a dataset holds one kind'"),
    Reason("another_kind", "$kind_prefix <> '' and not starts_with(e.media_type, $kind_prefix)",
           "'others that were selected are of a kind of media that it is not of, and a dataset holds one kind'"),
    Reason("deep_pixels", "$rgb and e.pixel_type <> 'uint8'",
           "'more than 8 bits, which RGB would cut off; pixels = \"native\" under [image] takes it as it is'"),
)
UNPLACED = (
    Reason("missing_stratum", "{stratum} is null", "'a stratum column is NULL'"),
    Reason("several_splits", "{several}", "'it, or its leak group, is in several official splits'"),
    Reason("no_split", "$split_stated and {official} is null", "'nothing states its split'"),
)


def reasons_of(kind: AnswerKind | None) -> tuple[Reason, ...]:
    """Return why an entity may be left out, in the order in which reasons are given: the first that applies counts.

    What `kind` decides for each entity (`problem`) stands behind its own reasons.
    """
    return (*UNFIT, *(() if kind is None else kind.reasons), *UNPLACED)


MEDIA_TYPES = """
select distinct e.media_type from picked p join silver.entities e on e.entity_id = p.entity_id
"""

RANKED = """
select *, row_number() over (partition by stratum order by bucket, entity_id) as rank_in_stratum
from considered where reason is null
"""

MEMBERS = """
select $dataset_id as dataset_id, entity_id, {split} as split, group_id, stratum, rank_in_stratum, bucket,
    cast(1 as double) as weight, label, label_share, label_votes, fields_json, $because as selected_because,
    answer_json
from ranked where {within}
"""

EXCLUSIONS = """
select $dataset_id as dataset_id, entity_id, reason, case reason {details} else problem_detail end as detail
from considered where reason is not null
union all
select $dataset_id as dataset_id, entity_id, 'over_quota' as reason,
    concat('rank ', cast(rank_in_stratum as varchar), ' of stratum ', stratum) as detail
from ranked where not ({within})
"""


def split_ranges(ratios: Mapping[str, float]) -> list[tuple[str, int]]:
    """Return (split, first bucket after it) in the order of the ratios; the last one ends at 2**52.

    Integer limits, so that every engine and Python cut at the same place.
    """
    # Shares may add up to a little more than 1 before the last, which may be 0.
    ends = [
        min(round(total * (1 << BUCKET_BITS)), 1 << BUCKET_BITS) for total in itertools.accumulate(ratios.values())
    ]
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
        if name == "label" or name in recipe.strata.bins:
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
    pins: Pins,
) -> Relation:
    """Return every picked entity with its label, stratum, group and, if it is out, the reason."""
    stratum = _stratum(recipe)
    wide = any(name not in {"label", *ENTITIES.column_names} for name in recipe.strata.by)
    if official is None:
        stated = {"official": "cast(null as varchar)", "several": "false"}
    else:
        stated = {"official": "o.split", "several": "coalesce(o.several, false)"}
    text = CONSIDERED.format(
        stratum=stratum,
        reasons=" ".join(_cases(kind, stratum=stratum, **stated)),
        official=stated["official"],
        splits="" if official is None else "left join official o on o.entity_id = e.entity_id",
        votes=UNLABELLED if tally is None else "left join tally t on t.entity_id = e.entity_id",
        group="e.entity_id" if groups is None else "coalesce(g.group_id, e.entity_id)",
        place="e.entity_id" if groups is None else "coalesce(g.anchor_id, e.entity_id)",
        groups="" if groups is None else "left join leak_groups g on g.entity_id = e.entity_id",
        entities="entities_wide" if wide else "silver.entities",
    )
    inputs = {"picked": picked}
    if groups is not None:
        inputs["leak_groups"] = groups
    if tally is not None:
        inputs["tally"] = tally
    if official is not None:
        inputs["official"] = official
    prefix = _prefix([row["media_type"] for row in fetch(lake, MEDIA_TYPES, inputs={"picked": picked}, pins=pins)])
    params = {
        "seed": recipe.seed,
        **({} if kind is None else kind.params(recipe.label)),
        **bin_params(recipe, edges_of(lake, recipe, picked, pins)),
        "rgb": recipe.image.pixels == "rgb",
        "pictures": prefix == IMAGE.prefix,
        "kind_prefix": prefix,
        "split_stated": official is not None,
        "escape": "\\",
        "escaped_escape": "\\\\",
        "escaped_bar": "\\|",
    }
    return lake.engine.stage(query(lake, text, inputs=inputs, params=params, pins=pins))


def _prefix(media_types: Sequence[str]) -> str:
    """Return the beginning of the media types of the one kind that a dataset of these holds; "": of no kind.

    The first kind in the order of the registry: pictures before recordings, and both before files of no kind.
    """
    kinds = media_kinds()
    found = [kind for media_type in media_types if (kind := kind_of_type(kinds, media_type)) is not None]
    return min(found, key=kinds.index).prefix if found else ""


UNLABELLED = """
cross join (
    select cast(null as varchar) as label, cast(null as double) as label_share,
        cast(null as map(varchar, bigint)) as label_votes, cast(null as bigint) as all_votes,
        cast(null as varchar) as answer_json, cast(null as varchar) as problem_detail
) t
"""


def _cases(kind: AnswerKind | None, **places: str) -> Iterator[str]:
    unplaced = UNPLACED[0]
    for each in reasons_of(kind):
        if each is unplaced and kind is not None and kind.decide is not None:
            yield "when t.problem is not null then t.problem"
        yield f"when {each.when.format(**places)} then '{each.name}'"


def choose(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, considered: Relation, dataset_id: str
) -> tuple[Relation, Relation]:
    """Return the members and the exclusions; together they are everything that was considered."""
    ranked = lake.engine.stage(query(lake, RANKED, inputs={"considered": considered}))
    within = _quota(recipe)
    params = {
        "dataset_id": dataset_id,
        "because": _because(recipe, kind),
        **({} if kind is None else kind.params(recipe.label)),
        "split_seed": recipe.seed,
        **{f"cell_{i}": cell for i, cell in enumerate(sorted(recipe.strata.cells))},
    }
    members = query(
        lake, MEMBERS.format(split=_split(recipe), within=within), inputs={"ranked": ranked}, params=params
    )
    inputs = {"ranked": ranked, "considered": considered}
    details = " ".join(f"when '{each.name}' then {each.detail}" for each in reasons_of(kind))
    exclusions = query(lake, EXCLUSIONS.format(within=within, details=details), inputs=inputs, params=params)
    return members, exclusions


def _stratum(recipe: Recipe) -> str:
    parts = [_cell_part(recipe, name) for name in recipe.strata.by]
    if len(parts) > 1:
        # Else the values `a|b`, `c` and `a`, `b|c` would be one cell.
        parts = [f"replace(replace({part}, $escape, $escaped_escape), '|', $escaped_bar)" for part in parts]
    # concat_ws skips NULL; `||` keeps it, so that a missing value is noticed and not merged with another cell.
    return " || '|' || ".join(parts) or "''"


def _cell_part(recipe: Recipe, name: str) -> str:
    if name in recipe.strata.bins:
        return bin_sql(recipe, name)
    return f"cast({'t.cell' if name == 'label' else f'e.{name}'} as varchar)"


def _split(recipe: Recipe) -> str:
    if recipe.split.official:
        return "official"
    ranges = split_ranges(recipe.split.ratios)
    # Salted, so that the place in the quota and the split are independent choices.
    bucket = "petrel_bucket(concat('split|', place), $split_seed)"
    cases = " ".join(f"when {bucket} < {end} then '{name}'" for name, end in ranges[:-1])
    return f"case {cases} else '{ranges[-1][0]}' end" if cases else f"'{ranges[-1][0]}'"


def _quota(recipe: Recipe) -> str:
    cells = sorted(recipe.strata.cells)
    own = " ".join(f"when stratum = $cell_{i} then {recipe.strata.cells[cell]}" for i, cell in enumerate(cells))
    limit = str(recipe.strata.max) if recipe.strata.max else "9223372036854775807"
    return f"rank_in_stratum <= case {own} else {limit} end" if own else f"rank_in_stratum <= {limit}"


def _because(recipe: Recipe, kind: AnswerKind | None) -> str:
    label = "" if kind is None else kind.because(recipe.label, recipe.question)
    if label and recipe.label.believe:
        label += f", of those whom policy `{recipe.label.believe}` believes"
    quota = f"within the quota of its stratum by {', '.join(recipe.strata.by)}" if recipe.strata.by else ""
    return "; ".join(part for part in ("selected by the recipe's query", label, quota) if part)
