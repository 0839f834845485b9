"""Make entities of entities: resized, cropped, flipped ones, spectrograms, or what transforms of yours make.

    ./spark-submit.sh jobs/derive.py --lake my_lake --transform resize:height=224,width=224
    petrel derive --lake my_lake --transform crop:width=512,height=512 --transform flip
    petrel derive --lake my_lake --transform my_package.cleaning:denoise --where "noise > 0.2"
    petrel derive --lake my_lake --transform flip --labels carry    # what was said of it holds of the flipped one
    petrel derive --transforms                               # which there are

Transforms that are named together are applied one after the other, and only what comes out is kept, with its parent.
Of what was made nothing is made again; a run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.output import say_json, say_table
from lakehouse.errors import ConfigError
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.config import Config
    from lakehouse.deriving.transform import Chain
    from lakehouse.lake import Lake


LABELS = ("carry", "carry-with-models")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument(
        "--transform",
        action="append",
        default=[],
        metavar="NAME[:PARAMETER=VALUE,...]",
        help="a transform, or its place as package.module:NAME; several are one after the other",
    )
    parser.add_argument(
        "--where",
        default="",
        metavar="SQL",
        help="condition over entities_wide that parents must meet (default: what was not made itself)",
    )
    parser.add_argument(
        "--labels",
        choices=LABELS,
        help="carry: say again about all that these transforms made what holds about its parents, regions moved with "
        "the pixels; carry-with-models: predictions too",
    )
    parser.add_argument(
        "--keypoint-pairs",
        default="",
        metavar="1-2,3-4",
        help="with --labels: places of keypoints, from 0, that change places in a mirror (left eye, right eye)",
    )
    parser.add_argument("--transforms", action="store_true", help="show the transforms that there are")


def show(args: argparse.Namespace) -> bool:
    """Show the transforms, if that is asked for."""
    if not args.transforms:
        return False
    from lakehouse.deriving.registry import transforms

    rows = []
    for each in transforms().values():
        about = (each.function.__doc__ or "").strip().partition("\n")[0]
        given = ", ".join(f"{name}={default!r}" for name, (_, default) in each.parameters.items())
        rows.append((each.key, ", ".join(each.media_types), given, about))
    if args.json:
        for name, media, given, about in rows:
            say_json({"transform": name, "media_types": media, "parameters": given, "about": about})
    else:
        say_table(["transform", "for", "parameters", ""], rows)
    return True


def check(args: argparse.Namespace, config: Config) -> None:
    """Refuse transforms and parameters that there are not, before any work."""
    _chain(args)
    if args.keypoint_pairs and not args.labels:
        raise ConfigError("--keypoint-pairs: is of --labels carry, which is not asked for")
    _pairs(args.keypoint_pairs)


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Run the step."""
    from lakehouse.carrying.step import carry
    from lakehouse.deriving.step import derive

    chain = _chain(args)
    yield derive(lake, chain, where=args.where)
    if args.labels:
        yield carry(lake, chain.operation, chain.parameters_json, models=args.labels == LABELS[1],
                    pairs=_pairs(args.keypoint_pairs))  # fmt: skip


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    if not text:
        return ()
    if not re.fullmatch(r"\d+-\d+(,\d+-\d+)*", text):
        raise ConfigError(f"--keypoint-pairs: expected places as 1-2,3-4, found {text!r}")
    pairs = [each.split("-") for each in text.split(",")]
    places = [int(place) for pair in pairs for place in pair]
    if len(set(places)) < len(places):
        raise ConfigError(f"--keypoint-pairs: a place is in one pair alone, found {text!r}")
    return tuple((int(one), int(other)) for one, other in pairs)


def _chain(args: argparse.Namespace) -> Chain:
    from lakehouse.deriving.registry import transform_named
    from lakehouse.deriving.transform import chain_of

    if not args.transform:
        raise ConfigError("--transform: name at least one; `petrel derive --transforms` shows which there are")
    return chain_of(args.transform, transform_named)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
