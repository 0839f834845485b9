"""The version id: a hash of the recipe, of the content it reads, and of the code contracts it relies on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.datasets.hearing.believed import policy_heard
from lakehouse.datasets.hearing.coarser import coarser_labels
from lakehouse.datasets.hearing.merges import merges_heard
from lakehouse.datasets.likeness.duplicates import NearDuplicates
from lakehouse.datasets.placing.fixed import Fixed
from lakehouse.datasets.placing.groups import LeakGroups, digest_of_rows
from lakehouse.datasets.placing.official import Official
from lakehouse.datasets.policies.kind import ANSWERS, CONSTRAINTS, AnswerKind
from lakehouse.datasets.policies.sides import side_pairs, word_pairs
from lakehouse.datasets.recipes.recipe import Recipe
from lakehouse.datasets.recipes.sections.select import ALL
from lakehouse.datasets.selecting.changed import Held
from lakehouse.datasets.selecting.named_commits import At, by_content, digests_at, read_now, versions_at
from lakehouse.datasets.selecting.narrowing import instants_digest
from lakehouse.datasets.versions.reads import DimensionsRead, array_functions_read, dimensions_read, tables_read
from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import Pins, fetch, query
from lakehouse.tables.digest import relation_digest
from lakehouse.tables.read import digest_at, pin_heads
from lakehouse.views.behind import tables_of
from lakehouse.views.ontology import MERGED_LABELS_VIEW
from schemas.canonical import canonical_json, content_id, sha256_text, text_json
from schemas.tables import (
    ACTORS,
    BY_NAME,
    CHANGESET_ENTITIES,
    CHANGESETS,
    DERIVATIONS,
    DIMENSIONS,
    ENTITIES,
    ENTITY_SOURCES,
    LABEL_SETS,
    OPINIONS,
    QUESTIONS,
)

BUILD_CONTRACT = 2
"""Raised whenever the same recipe over the same rows would give other members; it renames every dataset there is.

Never silently again. Raising it, changing the default of a recipe's key, the canonical form or what is hashed below
breaks the golden ids in tests/datasets/test_golden_ids.py: whoever renews these says so in CHANGELOG.md, with the
reason. What needs no new number: a new optional key (left out where it has its default), a new exclusion reason that
only such a key switches on, a new extractor.

2: the canonical recipe leaves out defaults; only extractors that the recipe reads are named; a leak group's place is
that of its oldest member, and no longer that of its smallest key; class numbers are those of the label set; pictures
deeper than 8 bits, and what is no picture among pictures, are left out.
"""

HELD_ENTITIES = """
select e.row_hash from silver.entities e where exists (select 1 from held h where h.entity_id = e.entity_id)
"""


SAMPLES_CONTRACT = 1
"""Raised whenever the same answers would give other samples where these are no whole entities."""

VARIANTS_CONTRACT = 1
"""Raised whenever the same member and seed would give other variants, their pixels included."""

SAMPLES, VARIANTS = "samples:", "variants"
"""What the names of these two contracts begin with, or are."""

PICTURES = "pictures:"
"""What the name of a dataset's contract on encoding pictures begins with; behind it stand the encoder's versions."""

RECORDINGS = "recordings:"
"""The same, of a contract on encoding recordings."""

CLIPS = "frames:"
"""The same of the contract on decoding frames."""

CLIPS_CONTRACT = 1
"""Raised whenever the same parameters would give other pixels with the same libraries."""

SIDES, SIDES_CONTRACT = "sides", 2
"""Of mirrored variants of keypoints, where names say sides that contract 1 did not know: which a mirror exchanges."""

NEAR_CONTRACT = 1
"""Raised whenever the same measurements would give other clusters, a default distance included."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a build reads.

    Attributes:
        pins: Table name -> Delta version: where to read it again.
        digests: Table name -> digest: what was in it. Of dimensions only the rows that the recipe names, of opinions
            and actors only those that the label policy listens to, of label sets the numbers of their labels and
            what was merged, unless the selection reads these tables itself. `table@commit` of what it reads as a commit
            has it.
        contracts: Names and versions of the code that shapes the rows.
    """

    pins: Mapping[str, int]
    digests: Mapping[str, str]
    contracts: Mapping[str, int]

    def version_id(self, recipe: Recipe) -> str:
        """Return the dataset's version id, 32 hex digits."""
        hashed, digests = by_content(recipe, self.digests)
        return content_id({"recipe": hashed.canonical(), "digests": digests, "contracts": dict(self.contracts)})


def pin(lake: Lake, recipe: Recipe) -> dict[str, int]:
    """Return the current version of every table that the recipe reads, verified.

    Of what was made of what every split asks; in a lake where nothing was made, that table is left out.

    Raises:
        TableError: If a file of one is missing or damaged.
    """
    pins = pin_heads(lake, tables_read(recipe))
    made = pin_heads(lake, [DERIVATIONS.name])  # after entities, which are written first
    is_empty = digest_at(lake, DERIVATIONS, made[DERIVATIONS.name]).rows == 0
    return pins if is_empty else made | pins


def inputs_of(
    lake: Lake,
    recipe: Recipe,
    pins: Pins,
    *,
    kind: AnswerKind | None,
    heard: tuple[Relation, Relation] | None,
    classes: tuple[str, ...],
    groups: LeakGroups | None,
    official: Official | None = None,
    held: Held | None = None,
    near: NearDuplicates | None = None,
    fixed: Fixed | None = None,
    models: Relation | None = None,
    decodes: bool = False,
) -> Inputs:
    """Return the digests behind the pins.

    Args:
        lake: The lake.
        recipe: The recipe.
        pins: From `pin`.
        kind: Kind of the answers; None if the recipe asks no question.
        heard: Actors and opinions that the label policy listens to; None if the recipe asks no question.
        classes: Labels in the order of their numbers, from `classes_of`; () if the recipe asks no question.
        groups: Leak groups; None if the recipe has no group key.
        official: What folders or keys state about splits; None if the recipe splits by ratios.
        held: What the changes of a virtual dataset come to; None if the recipe names none.
        near: Near-duplicates; None if none are looked for.
        fixed: Versions whose members' split is fixed; None without any.
        models: What the models of `select.hard` said; None if it names none.
        decodes: Whether entities are selected whose bytes are decoded from a video whenever they are wanted.
    """
    dimensions = dimensions_read(recipe)
    # Of these only what is heard is content: a prediction, or the place a file lay at, changes no dataset.
    heard_of = {OPINIONS.name, ACTORS.name, QUESTIONS.name, LABEL_SETS.name, ENTITY_SOURCES.name}
    selected = read_now(recipe)
    sliced = heard_of - tables_of(selected, but=MERGED_LABELS_VIEW)
    sliced |= {CHANGESETS.name, CHANGESET_ENTITIES.name, DERIVATIONS.name} - tables_of(selected)
    if not dimensions.all:
        sliced.add(DIMENSIONS.name)
    # A query may count all entities; without one, those that the changes do not hold change no dataset.
    only = held.rows if held is not None and recipe.select.sql == ALL else None
    if only is not None:
        sliced.add(ENTITIES.name)
    digests = {}
    for name, version in pins.items():
        if name not in sliced:
            digests[name] = str(digest_at(lake, BY_NAME[name], version))
    if dimensions.names and not dimensions.all:
        digests["heard.dimensions"] = _measurements(lake, dimensions, pins, only)
    if held is not None:
        digests["heard.changes"] = held.digest
    if only is not None:
        entities = query(lake, HELD_ENTITIES, inputs={"held": only}, pins=pins)
        digests["heard.entities"] = str(relation_digest(lake.engine, entities))
    if heard is not None:
        digests["heard.actors"], digests["heard.opinions"] = (str(relation_digest(lake.engine, rows)) for rows in heard)
        digests["heard.labels"] = sha256_text(text_json(classes))
    if recipe.label.believe:
        # A name may mean another policy tomorrow.
        digests["heard.policy"] = policy_heard(lake, recipe, pins).policy_id
    merges = merges_heard(lake, recipe, pins)
    if merges:
        # Left out where there are none: label sets that nobody merged rename nothing.
        digests["heard.merges"] = sha256_text(text_json(merges))
    coarser = coarser_labels(lake, recipe, pins)
    if coarser:
        # Of a label set a hierarchy is no content, but to such a recipe.
        digests["heard.coarser"] = sha256_text(text_json([[*key, label] for key, label in sorted(coarser.items())]))
    if models is not None:
        digests["heard.models"] = str(relation_digest(lake.engine, models))
    if kind is not None and kind.asked:
        # As it is, not its hash: samples and scores need it, and it is short.
        digests[CONSTRAINTS] = canonical_json(dict(kind.asked))
    if groups is not None:
        digests["heard.groups"] = groups.digest
    if official is not None and official.digest is not None:
        digests["heard.splits"] = official.digest
    if recipe.select.clock in ENTITIES.clock_columns:
        # Clocks are no content of the table; to such a recipe this one is.
        digests["heard.instants"] = instants_digest(lake, recipe, pins)
    if near is not None:
        digests["heard.duplicates"] = digest_of_rows((entity, cluster) for entity, cluster, _ in near.rows)
    if fixed is not None:
        digests |= {f"fixed.{split}": version for split, version in fixed.versions.items()}
    if recipe.as_of.known_at is not None:
        # The clock is part of such a recipe: what was known then is content now.
        digests["as_of.known_at"] = recipe.as_of.known_at.isoformat()
    at = versions_at(lake.home, recipe)
    digests |= digests_at(lake.home, at)
    measured = _measured_by(lake, recipe, pins, at)
    return Inputs(dict(pins), digests, contracts(recipe, kind, measured=measured, decodes=decodes))


def contracts(
    recipe: Recipe, kind: AnswerKind | None = None, *, measured: Iterable[str] | None = None, decodes: bool = False
) -> dict[str, int]:
    """Return the versions of the code that shapes the members of a recipe.

    Args:
        recipe: The recipe.
        kind: Kind of the answers; None if it asks no question. Labels have no version beside that of the build.
        measured: Names of the extractors that have rows in the lake, where the recipe reads all of them; None takes
            every installed one, which is enough to tell whether anything changed since the last build.
        decodes: Whether frames or clips that are entities are among what is selected: their pixels are content.
    """
    read = dimensions_read(recipe, at_commits=True).extractors(measured)
    answers = {f"{ANSWERS}{kind.contract_name}": kind.version} if kind is not None and kind.version else {}
    compared = {f"near:{recipe.duplicates.near}": NEAR_CONTRACT} if recipe.duplicates.near else {}
    made = {f"{SAMPLES}{recipe.samples.of}": SAMPLES_CONTRACT} if recipe.samples.of != "entities" else {}
    made |= {VARIANTS: VARIANTS_CONTRACT} if recipe.variants.copies else {}
    extractors = {f"extractor:{each.name}": each.version for each in read}
    extractors |= {f"function:{each.name}": each.version for each in array_functions_read(recipe)}
    encoded = _pictures(recipe) | _recordings(recipe) | _clips(recipe, decodes)
    if recipe.variants.mirror and kind is not None and kind.name == "keypoints":
        names = tuple(kind.asked.get("keypoints", ()))
        made |= {SIDES: SIDES_CONTRACT} if side_pairs(names) != word_pairs(names) else {}
    return {"build": BUILD_CONTRACT} | compared | answers | made | encoded | extractors


def _pictures(recipe: Recipe) -> dict[str, int]:
    form = recipe.image.form
    if form is None:
        return {}
    # Not above: recipes that encode nothing load no encoder.
    from loaders.publishing.picture_encoding import FORM_CONTRACT, encoder_of

    return {f"{PICTURES}{encoder_of(form)}": FORM_CONTRACT}


def _recordings(recipe: Recipe) -> dict[str, int]:
    form = recipe.audio.form
    if form is None:
        return {}
    from loaders.publishing.recording_encoding import FORM_CONTRACT, encoder_of

    return {f"{RECORDINGS}{encoder_of(form)}": FORM_CONTRACT}


def _clips(recipe: Recipe, decodes: bool) -> dict[str, int]:
    if recipe.samples.of != "clips" and not decodes:
        return {}
    # Not above: recipes that decode nothing load no decoder.
    from loaders.decoding.verdict import decoder_of

    return {f"{CLIPS}{decoder_of()}": CLIPS_CONTRACT}


def decodes_as_here(stated: Mapping[str, int]) -> bool:
    """Tell whether this machine decodes frames as the contracts of a dataset say, if they say anything of it."""
    decoder = next((name for name in stated if name.startswith(CLIPS)), None)
    if decoder is None:
        return True
    from loaders.decoding.verdict import decoder_of

    return stated[decoder] == CLIPS_CONTRACT and decoder == f"{CLIPS}{decoder_of()}"


def _measurements(lake: Lake, read: DimensionsRead, pins: Pins, only: Relation | None) -> str:
    text = f"select row_hash from {DIMENSIONS.name} d where dimension in $names"
    if only is not None:
        text += " and exists (select 1 from held h where h.entity_id = d.entity_id)"
    inputs = None if only is None else {"held": only}
    rows = query(lake, text, inputs=inputs, params={"names": sorted(read.names)}, pins=pins)
    return str(relation_digest(lake.engine, rows))


def _measured_by(lake: Lake, recipe: Recipe, pins: Pins, at: At) -> list[str] | None:
    """Return who measured what a recipe reads that reads every measurement; None where it names those that it reads."""
    read = [pins] if dimensions_read(recipe).all else []
    if dimensions_read(recipe, at_commits=True).all:
        read += [each for each in at.values() if DIMENSIONS.name in each]
    if not read:
        return None
    text = f"select distinct extractor from {DIMENSIONS.name}"
    return sorted({row["extractor"] for each in read for row in fetch(lake, text, pins=each)})
