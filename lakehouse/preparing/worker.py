"""The process that builds a prepared version: `python -m lakehouse.preparing.worker`, told by its standard input."""

from __future__ import annotations

import json
import sys

from lakehouse.config import config_of
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import recipe_of
from lakehouse.errors import PetrelError, RecipeError
from lakehouse.lake import Lake
from lakehouse.materialise.step import materialise
from lakehouse.opening import open_lake
from lakehouse.preparing.states import lock_of, published_folder, read_request, write_request
from lakehouse.tables.locks import lake_lock
from lakehouse.tables.readers import reading


def build_prepared(lake: Lake, dataset_id: str) -> None:
    """Build and publish what was asked for, unless somebody else has; what goes wrong is written down.

    Raises:
        ConcurrentWriteError: If somebody else was at it for longer than `engine.lock_timeout_s`.
    """
    with lake_lock(lake, lock_of(dataset_id)):
        asked = read_request(lake, dataset_id)
        # One that failed while this process waited would fail again; whoever asks again takes the word off.
        if asked is None or asked.get("failed") or published_folder(lake, dataset_id) is not None:
            return
        try:
            with reading(lake, asked["pins"], by="prepare"):
                recipe = recipe_of(asked["recipe"], where=f"prepared {asked['name']}")
                built = build(lake, recipe, pins=asked["pins"])
                given = built.details["dataset_id"]
                if given != dataset_id:
                    # Pins hold tables still; a name under split.fixed may stand for another version meanwhile.
                    raise RecipeError(
                        f"recipe {recipe.name}: the recipe gives version {given} now: a dataset that split.fixed names "
                        "was built anew since this was asked for; ask again, or name a version of it, as NAME@TAG"
                    )
                materialise(lake, given)
        except PetrelError as error:
            write_request(lake, dataset_id, {**asked, "failed": str(error)})
        except BaseException as error:
            write_request(lake, dataset_id, {**asked, "failed": f"{type(error).__name__}: {error}; please report this"})
            raise


def main() -> int:
    """Read {config, engine, dataset_id} from standard input and build."""
    said = json.load(sys.stdin)
    with open_lake(config_of(said["config"]), engine=said["engine"]) as lake:
        build_prepared(lake, said["dataset_id"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
