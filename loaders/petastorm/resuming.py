"""What a saved state of a reader holds, and to which readers it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loaders.errors import StateMismatchError
from loaders.petastorm.making import RowGroupSteps
from loaders.petastorm.ngram import NGram
from loaders.petastorm.predicates import PredicateBase
from loaders.petastorm.rowgroups.folder import ParquetFolder
from loaders.petastorm.rowgroups.order import Unit
from loaders.petastorm.shipping import digest_of
from schemas.canonical import canonical_json, sha256_text

FORMAT = "petrel-row-groups-1"


def fingerprint(
    folder: ParquetFolder, units: Sequence[Unit], recipe: RowGroupSteps, *, shuffles_groups: bool, predicate: str
) -> str:
    """Return 64 hex digits of what decides which items come, the seed apart; not of where the folder lies."""
    parts = [
        [[piece.file, piece.row_group] for piece in folder.pieces], [str(unit) for unit in units], str(recipe.schema),
        recipe.ngram and _windows(recipe.ngram), predicate, recipe.is_batched, recipe.shuffles_rows, shuffles_groups,
        recipe.filters and recipe.filters.canonical(),
    ]  # fmt: skip
    return sha256_text(canonical_json(parts))


def name_of_predicate(predicate: PredicateBase | None) -> str:
    """Return a name that another predicate does not have; to be taken before it is used, which may change it."""
    return "" if predicate is None else f"{type(predicate).__qualname__} {digest_of(predicate)}"


def checked_state(state: Mapping[str, object], *, reading: str, units: int) -> tuple[int, int, tuple[int, int, int]]:
    """Return the seed of a saved state, the epoch with which its pass began, and its position.

    Raises:
        StateMismatchError: If it is not of this reading.
    """
    if not isinstance(state, Mapping) or state.get("format") != FORMAT or state.get("reading") != reading:
        raise StateMismatchError(
            "reader state: it was saved for other data, or by a reader with another predicate, other fields, shards "
            "or shuffles"
        )
    seed, start, position = state.get("seed"), state.get("pass_start"), state.get("position")
    numbers = [seed, start, *position] if isinstance(position, list | tuple) else []
    if len(numbers) != 5 or not all(type(number) is int for number in numbers):
        raise StateMismatchError(f"reader state: a position is [epoch, unit, items], found {position!r}")
    epoch, place, items = numbers[2:]
    if not (0 <= numbers[1] <= epoch and 0 <= place <= units and items >= 0):
        raise StateMismatchError(f"reader state: no such position: {position!r} of a pass from {start!r}")
    return numbers[0], numbers[1], (epoch, place, items)


def _windows(ngram: NGram) -> list[object]:
    steps = [[int(step), *ngram.get_field_names_at_timestep(step)] for step in sorted(ngram.fields)]
    return [steps, repr(ngram.delta_threshold), ngram.timestamp_name, ngram.length]
