"""From recordings to a model that never heard the speakers it is tested on: land, build, read, train, evaluate.

    python -m examples.spoken --data ../data/fsdd               600 recordings of six speakers, into .demo/spoken
    python -m examples.spoken --data ../data/fsdd --epochs 5    a quick look

`--data` has recordings/*.wav and index.csv (file, digit, speaker), as the Free Spoken Digit Dataset. A second run lands
and builds nothing, trains again and gives the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import lakehouse as lh
from jobs.common import guarded
from jobs.output import say
from lakehouse.lake import Lake
from lakehouse.opinions.step import opinion_source_from
from loaders.format.manifest import read_manifest

QUESTION, ACTOR, SEED = "digit", "model:spoken@1", 6

RECIPE = Path(__file__).parents[2] / "conf" / "datasets" / "fsdd.toml"

SCORES = (
    "select slice, metric, value, support from gold.evaluations where evaluation_id = $id and metric = 'accuracy' "
    "order by slice"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.spoken", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FOLDER", required=True, help="with recordings and index.csv")
    parser.add_argument("--home", metavar="FOLDER", default=".demo/spoken", help="where the lake goes")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training split (default: 40)")
    args = parser.parse_args(argv)
    return guarded(lambda: _run(Path(args.data), Path(args.home), args.epochs), verbose=False)


def _run(data: Path, home: Path, epochs: int) -> int:
    from examples.spoken.learn import answers, batches, fitted

    config = lh.load_config(overrides=[f"lake.root={json.dumps(str(home / 'lake'))}"])
    with lh.open_lake(config, create=True) as lake:
        folder, dataset_id = bring(lake, data)
        classes = read_manifest(folder / "train").classes
        assert classes is not None, "the recipe asks a question"
        started = time.monotonic()
        read = sum(int((~batch["is_pad"]).sum()) for batch in batches(folder / "train"))
        say(f"read {read} recordings, decoded and padded, in {time.monotonic() - started:.2f} s")
        model = fitted(folder / "train", len(classes), epochs=epochs, seed=SEED)
        said = answers(model, folder / "test", tuple(classes))
        say(str(lh.record_opinions(lake, said, source="fsdd", question=QUESTION, actor=ACTOR)))
        scored = lh.evaluate(lake, dataset_id=dataset_id, actor=ACTOR, question=QUESTION, split="test")
        say(str(scored))
        for row in lh.fetch(lake, SCORES, params={"id": scored.details["evaluation_id"]}):
            say(f"{row['slice'] or 'all'}: accuracy {row['value']:.3f} of {row['support']} recordings")
    return 0


def bring(lake: Lake, data: Path) -> tuple[Path, str]:
    """Take recordings and digits into a lake and publish them, split by speaker.

    Returns:
        The folder of the dataset, with a folder for each split, and its id.
    """
    source = lh.Source(
        name="fsdd", folder=str(data), include=("recordings/*",), sidecar="index.csv", sidecar_key="file",
        group_keys={"speaker": "speaker"},
    )  # fmt: skip
    say(str(lh.land(lake, source)))
    say(str(lh.entities(lake)))
    say(str(lh.dimensions(lake)))
    stated = {
        "format": "csv", "path": str(data / "index.csv"), "source": "fsdd", "question": QUESTION,
        "actor": "import:fsdd", "columns": {"subject": "file", "label": "digit"},
    }  # fmt: skip
    say(str(lh.opinions(lake, opinion_source_from(stated, where="examples.spoken"))))
    built = lh.build(lake, lh.load_recipe(RECIPE))
    say(str(built))
    published = lh.materialise(lake, str(built.details["dataset_id"]))
    say(str(published))
    return Path(lake.root) / str(published.details["folder"]), str(built.details["dataset_id"])


if __name__ == "__main__":
    sys.exit(main())
