"""Find what is like an entity, or like a file, by embeddings; every vector is compared.

petrel similar --lake my_lake 4f1c09
petrel similar --lake my_lake 4f1c09 --k 20 --where "brightness > 0.5 and media_type = 'image/png'"
petrel similar --lake my_lake --file cat.jpg                     # need not be in the lake
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of
from jobs.embed import add_model
from jobs.output import say, say_json, say_table
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("entity", nargs="?", help="an entity: its id or how that begins, or path or name of its file")
    parser.add_argument("--file", metavar="FILE", help="a file that need not be in the lake, in place of an entity")
    parser.add_argument("--model", default="", help="whose vectors, as `petrel embed` names it (default: the only one)")
    parser.add_argument("--k", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--where", default="", metavar="SQL", help="condition over entities_wide that they must meet")
    parser.add_argument(
        "--metric", choices=("cosine", "l2", "dot"), default="cosine", help="distance (default: cosine)"
    )
    add_model(parser)


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    from lakehouse.embedding.nearest import model_of, nearest, vector_of_entity, vector_of_file
    from lakehouse.embedding.registry import embedder_named
    from lakehouse.looking import looking
    from lakehouse.showing import find_thing

    if bool(args.entity) == bool(args.file):
        raise ConfigError("name one of an entity of the lake and --file, a file to compare with")
    with looking(config) as lake:
        if args.file:
            embedder = embedder_named(args.embedder)
            key = embedder.key(Path(args.weights) if args.weights else None)
            if args.model not in ("", key):
                raise ConfigError(
                    f"--model {args.model}: the vector of a file is by {key}, which --embedder and --weights name; "
                    "vectors of two models say nothing of each other"
                )
            model = model_of(lake, key)
            vector = vector_of_file(lake, args.file, embedder, weights=args.weights, device=args.device)
        else:
            model = model_of(lake, args.model)
            vector = vector_of_entity(lake, find_thing(lake, args.entity), model)
        rows = nearest(lake, vector, model=model, k=args.k, where=args.where, metric=args.metric)
    if args.json:
        for row in rows:
            say_json(row)
    elif rows:
        say_table(["distance", "entity", "media type", "name"],
                  [[f"{row['distance']:.4f}", row["entity_id"][:16], row["media_type"], row["name"] or ""]
                   for row in rows])  # fmt: skip
    else:
        say("nothing that meets the condition has an embedding")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
