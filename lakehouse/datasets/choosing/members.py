"""Who of the considered becomes a member: quotas over cells, ranks within them, weights, and the reason of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lakehouse.datasets.choosing.allocation import Allotment, allocate, joined, parts_of, told
from lakehouse.datasets.choosing.bins import bin_names
from lakehouse.datasets.choosing.weighing import weights_of
from lakehouse.datasets.plan import reasons_of
from lakehouse.datasets.policies.kind import AnswerKind
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.balance import TRAIN
from lakehouse.datasets.selecting.filters import FILTERED
from lakehouse.engines import Relation
from lakehouse.errors import RecipeError
from lakehouse.lake import Lake
from lakehouse.names import nearest, slip_of
from lakehouse.query import fetch, query
from lakehouse.steps.step import StepRecord

AVAILABLE = """
select stratum, count(*) filter (where reason is null) as available from considered
where stratum is not null and (reason is null or reason not in $filtered) group by stratum order by stratum
"""
"""What a filter leaves out is as if it had not been selected: it makes no cell that could be short."""

RANKED = """
select {columns}, {rank} as rank_in_stratum from (
    select *, petrel_bucket(entity_id, $seed) as bucket from considered where reason is null
) placed
"""

RANK = "row_number() over (partition by stratum order by bucket, entity_id)"

UNRANKED = "cast(0 as bigint)"
"""Where all of every cell are in, nobody has to know who comes first to count them."""

ORDERED = ("entity_id", "stratum", "label", "split", "parent_ids")
"""What goes with the ranks: they are put in order without the answers, and these are joined to them."""

SIZED = ("group_id", "size_bytes")
"""And with those who are only counted."""

COUNTED = """
select r.entity_id, r.group_id, r.label, r.split, r.size_bytes, r.parent_ids
from ranked r join allotted a on a.stratum = r.stratum where r.rank_in_stratum <= a.most
"""

MEMBERS = """
select $dataset_id as dataset_id, c.entity_id, c.split, c.group_id, c.stratum, r.rank_in_stratum, r.bucket,
    {weight} as weight, c.label, c.label_share, c.label_votes, c.fields_json,
    case when r.rank_in_stratum > a.own then concat($because, '; stands in for ', a.lent_to) else $because end
        as selected_because,
    c.answer_json, c.parent_ids, c.operation, c.parameters_json, c.size_bytes
from considered c join ranked r on r.entity_id = c.entity_id join allotted a on a.stratum = r.stratum {weights}
where r.rank_in_stratum <= a.most
"""

UNWEIGHTED = "cast(1 as double)"

WEIGHTED = "join weights w on w.split = r.split and w.cell = r.{cell}"

WEIGHED = """
select r.split, r.{cell} as cell, count(*) as members
from ranked r join allotted a on a.stratum = r.stratum where r.rank_in_stratum <= a.most and r.{cell} is not null
group by 1, 2 order by 1, 2
"""

EXCLUSIONS = """
select $dataset_id as dataset_id, entity_id, reason, case reason {details} else problem_detail end as detail,
    parent_ids
from considered where reason is not null
union all
select $dataset_id as dataset_id, r.entity_id, case when a.is_named then 'over_quota' else 'no_quota' end as reason,
    concat('rank ', cast(r.rank_in_stratum as varchar), ' of stratum ', r.stratum) as detail,
    r.parent_ids
from ranked r join allotted a on a.stratum = r.stratum where r.rank_in_stratum > a.most
"""

ONE_ALLOTTED = """
select cast($stratum_{at} as varchar) as stratum, cast($own_{at} as bigint) as own, cast($most_{at} as bigint) as most,
    cast($lent_to_{at} as varchar) as lent_to, cast($is_named_{at} as boolean) as is_named
"""

FEW = 20
"""So many cells are written as SQL."""

ALLOTTED = pa.schema([
    ("stratum", pa.string()), ("own", pa.int64()), ("most", pa.int64()), ("lent_to", pa.string()),
    ("is_named", pa.bool_()),
])  # fmt: skip

WEIGHTS = pa.schema([("split", pa.string()), ("cell", pa.string()), ("weight", pa.float64())])


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of gold.dataset_members and gold.dataset_exclusions; together they are everything that was considered.

    Attributes:
        members: Who is in; if they are only counted, with the columns entity_id, group_id, label, split and size_bytes.
        exclusions: Who is not, and why.
        cells: What every cell got; () without strata.
    """

    members: Relation
    exclusions: Relation
    cells: tuple[Allotment, ...]

    @property
    def short(self) -> tuple[Allotment, ...]:
        """Cells with fewer members than the recipe wants of them."""
        return tuple(cell for cell in self.cells if cell.short)


def choose(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, considered: Relation, dataset_id: str,
    classes: Sequence[str] = (), record: StepRecord | None = None, *, counting: bool = False,
) -> Chosen:  # fmt: skip
    """Return who is in and who is not.

    Args:
        lake: The lake.
        recipe: The recipe.
        kind: Kind of its answers; None if it asks no question.
        considered: From `lakehouse.datasets.plan.consider`.
        dataset_id: Id of the version.
        classes: Labels that the question has.
        record: Gets notes about cells that nothing is in.
        counting: Members are only counted.

    Raises:
        RecipeError: If a quota is of no cell that there can be.
    """
    rows = fetch(lake, AVAILABLE, inputs={"considered": considered}, params={"filtered": FILTERED})
    found = {row["stratum"]: row["available"] for row in rows}
    _check_names(recipe, found, classes)
    cells = tuple(allocate(recipe.strata, found))
    if record is not None:
        for cell in sorted({*recipe.strata.cells, *(recipe.strata.named or ())} - set(found)):
            record.note("empty_cell", f"strata names {cell!r}, which nothing selected is in{nearest(cell, found)}")
    ranked = _ranked(lake, recipe, considered, cells, counting=counting)
    params = {
        "dataset_id": dataset_id,
        "because": _because(recipe, kind),
        **({} if kind is None else kind.params(recipe.label)),
    }
    inputs = {"considered": considered, "ranked": ranked, "allotted": _allotted(lake, recipe, cells)}
    weights = _weights(lake, recipe, kind, inputs)
    text = COUNTED if counting else MEMBERS.format(weight=UNWEIGHTED, weights="")
    if weights is not None and not counting:
        inputs["weights"] = weights
        text = MEMBERS.format(weight="w.weight", weights=WEIGHTED.format(cell=_weighed_by(recipe)))
    members = query(lake, text, inputs=inputs, params=params)
    details = " ".join(f"when '{each.name}' then {each.detail}" for each in reasons_of(recipe, kind))
    exclusions = query(lake, EXCLUSIONS.format(details=details), inputs=inputs, params=params)
    return Chosen(members, exclusions, cells if recipe.strata.by else ())


def _ranked(
    lake: Lake, recipe: Recipe, considered: Relation, cells: Sequence[Allotment], *, counting: bool
) -> Relation:
    unranked = counting and all(cell.most == cell.available for cell in cells)
    text = RANKED.format(
        columns=", ".join((*ORDERED, *SIZED)) if counting else ", ".join((*ORDERED, "bucket")),
        rank=UNRANKED if unranked else RANK,
    )
    rows = query(lake, text, inputs={"considered": considered}, params={"seed": recipe.seed})
    return rows if unranked else lake.engine.stage(rows)


def _allotted(lake: Lake, recipe: Recipe, cells: Sequence[Allotment]) -> Relation:
    lent: dict[str, list[str]] = {}
    for cell in cells:
        for lender in cell.borrowed:
            lent.setdefault(lender, []).append(cell.stratum)
    named = recipe.strata.named
    rows = [
        {"stratum": cell.stratum, "own": cell.taken, "most": cell.most,
         "is_named": named is None or cell.stratum in named, "lent_to": ", ".join(lent.get(cell.stratum, ()))}
        for cell in cells
    ]  # fmt: skip
    if len(rows) > FEW:
        return lake.engine.from_arrow(pa.Table.from_pylist(rows, schema=ALLOTTED))
    # As text: for rows of Python's pyarrow imports pandas, a third of a second.
    params = {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}
    texts = (ONE_ALLOTTED.format(at=place) for place in range(len(rows)))
    return query(lake, " union all ".join(texts) or f"{ONE_ALLOTTED.format(at='none')} where false",
                 params=params or dict.fromkeys(f"{name}_none" for name in ALLOTTED.names))  # fmt: skip


def _weighed_by(recipe: Recipe) -> str:
    return "label" if recipe.balance.by == "label" else "stratum"


def _weights(
    lake: Lake, recipe: Recipe, kind: AnswerKind | None, inputs: Mapping[str, Relation]
) -> Relation | None:
    balance = recipe.balance
    if not balance.by:
        return None
    if balance.by == "label" and (kind is None or not kind.one_label):
        said = "none" if kind is None else kind.name
        raise RecipeError(
            f"recipe {recipe.name}: balance.by = \"label\" is for answers that are one label, and these are of kind "
            f"{said}; balance by = \"cells\" of strata"
        )
    rows = fetch(lake, WEIGHED.format(cell=_weighed_by(recipe)), inputs=inputs)
    known = {row["cell"] for row in rows}
    for name in sorted(set(balance.weights) - known):
        raise RecipeError(f"recipe {recipe.name}: balance.weights: no member is {name!r}{nearest(name, known)}")
    splits = {row["split"] for row in rows}
    for split in balance.splits or ((TRAIN,) if balance.repeats else ()):
        if rows and split not in splits:
            raise RecipeError(
                f"recipe {recipe.name}: balance.splits: no member is in split {split!r}{nearest(split, splits)}"
            )
    found = weights_of(balance, {(row["split"], row["cell"]): row["members"] for row in rows})
    weighed = [{"split": split, "cell": cell, "weight": weight} for (split, cell), weight in sorted(found.items())]
    return lake.engine.from_arrow(pa.Table.from_pylist(weighed, schema=WEIGHTS))


def check_quotas(recipe: Recipe, short: Sequence[Allotment]) -> None:
    """Refuse strata with fewer members than the recipe asks for, unless it says what to do then.

    Raises:
        RecipeError: If any is short; the message names them.
    """
    strata = recipe.strata
    if not short or strata.on_short != "fail":
        return
    if strata.quota or strata.proportion:
        key = "quota" if strata.quota else "proportion"
        raise RecipeError(
            f"recipe {recipe.name}: strata short of strata.{key}: {told(short)}; `petrel dataset plan` tells what "
            "would fill them; else ask for less, or write on_short = \"take\" or \"borrow\" under [strata]"
        )
    shown = ", ".join(f"{cell.stratum} has {cell.taken}" for cell in short[:10])
    raise RecipeError(
        f"recipe {recipe.name}: strata below strata.min = {strata.min}: {shown}; lower the minimum, select more, give "
        "the cell a maximum of 0, or write on_short = \"take\" or \"borrow\""
    )


def _check_names(recipe: Recipe, found: Mapping[str, int], classes: Sequence[str]) -> None:
    strata = recipe.strata
    for cell in strata.named or ():
        key = "quota" if strata.quota else "proportion"
        where = f"recipe {recipe.name}: strata.{key} has {cell!r}"
        parts = parts_of(strata, cell)
        if len(parts) != len(strata.by):
            example = joined([f"<{name}>" for name in strata.by])
            raise RecipeError(f"{where}, which has {len(parts)} values; strata.by wants {example!r}")
        for column, part in zip(strata.by, parts, strict=True):
            known = bin_names(strata.bins[column]) if column in strata.bins else classes if column == "label" else ()
            if known and part and part not in known:
                raise RecipeError(f"{where}: no {column} is {part!r}{nearest(part, known)}")
        meant = None if cell in found else slip_of(cell, found)
        if meant is not None:
            raise RecipeError(f"{where}, which nothing selected is in; did you mean `{meant}`?")


def _because(recipe: Recipe, kind: AnswerKind | None) -> str:
    label = "" if kind is None else kind.because(recipe.label, recipe.question)
    if label and recipe.label.believe:
        label += f", of those whom policy `{recipe.label.believe}` believes"
    quota = f"within the quota of its stratum by {', '.join(recipe.strata.by)}" if recipe.strata.by else ""
    return "; ".join(part for part in ("selected by the recipe's query", label, quota) if part)
