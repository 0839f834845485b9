"""Bring answers in: what CSV, JSON lines, Pascal VOC, COCO, YOLO ... say becomes rows of silver.opinions.

    # what is not stated is guessed from names and from what has landed; the receipt says it, with the flags for it
    petrel opinions import --lake my_lake --path labels.csv

    # one row per answer: columns subject and label (and actor, time, votes ... when --column names them)
    petrel opinions import --lake my_lake --format csv --path labels.csv --source photos \\
        --question species --actor human:ada --column subject=file --column label=class

    # folder names as labels; Pascal VOC boxes; counts of anonymous votes
    petrel opinions import --lake my_lake --format imagefolder --path photos --source photos --question species \\
        --actor import:folders
    petrel opinions import --lake my_lake --format voc --path Annotations --source cells --question cells \\
        --actor import:bccd
    petrel opinions import --lake my_lake --format csv --path votes.csv --source cifar10 --question object \\
        --actor pool:cifar10h --column subject=image --column votes=count

    # COCO (its kind shows in the file); results of a model with the file they are about; YOLO, whose task is stated
    petrel opinions import --lake my_lake --format coco --path instances.json --question things --actor import:coco
    petrel opinions import --lake my_lake --format coco --path results.json --question things --actor model:net@1 \\
        --option ground_truth=instances.json
    petrel opinions import --lake my_lake --format yolo --path dataset --question cells --actor human:ada \\
        --option task=detect --match stem

    # several labels in a cell; a column per class with 0 and 1; JSON lines with keys of their own
    petrel opinions import --lake my_lake --path tags.csv --question tags --option separator='|'
    petrel opinions import --lake my_lake --path classes.csv --question species --option layout=onehot
    petrel opinions import --lake my_lake --path lines.jsonl --question species --column subject=meta.file \\
        --column label=class

    # everything that a pipeline file lists under [[opinions]]; answers that waited for their subject
    ./spark-submit.sh jobs/opinions.py --lake my_lake --pipeline conf/pipelines/digits.toml
    petrel opinions resolve --lake my_lake

An actor is kind:name, kind being human, model (model:name@version), rule, consensus, import or pool. Nothing is ever
overwritten: a corrected file adds what differs, importing the same file again adds nothing. Answers about unknown
subjects wait in silver.parked_opinions; what does not pass stands in silver.rejected with rule and reason; what is
taken and remarkable all the same (a name that was guessed, a frame that is not the picture's, folders taken for
splits) is noted by rule on the terminal and in the receipt, and stands in ext['flags'] of the opinion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.common import main_of, pairs
from lakehouse.errors import ConfigError
from lakehouse.opinions.words import MATCHES, REPEATS, format_names
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.opinions.reading.source import OpinionSource

TEXTS = ("name", "format", "path", "question", "actor", "source", "match", "repeat", "valid_time", "system", "project")
"""Arguments that go to the source as they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--format", choices=format_names(), help="how the answers are written (default: guessed)")
    parser.add_argument("--path", metavar="PATH", help="file or folder with the annotations")
    parser.add_argument("--question", help="what is answered, for example species (default: the name of "
                        "the label column, if it tells)")
    parser.add_argument("--actor", metavar="KIND:NAME", help="who answers, for example human:ada "
                        "(default: import:NAME OF THE FILE)")
    parser.add_argument("--source", help="landed source whose files the answers are about (default: all)")
    parser.add_argument("--early", action="store_true",
                        help="the source may land later: answers wait for it (default: its name must be known)")
    parser.add_argument("--name", help="name of these annotations; with --pipeline: import only this entry")
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=COLUMN",
                        help="csv, jsonl: column or key that holds subject, label, actor, votes, time, confidence, id "
                        "...; a key inside an object as meta.file")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE",
                        help="another option of source or format, for example separator='|', layout=onehot, "
                        "actor_prefix=human:; a list as abstain=?,unsure, or one value each time; none as missing=")
    parser.add_argument("--label", action="append", default=[], dest="labels", metavar="LABEL",
                        help="one label of the closed set, in order; others are rejected (default: learn them)")
    parser.add_argument("--synonym", action="append", default=[], metavar="TEXT=LABEL",
                        help="another text that means a label, for example Cat=cat")
    parser.add_argument("--new-question", action="store_true",
                        help="the question is new, though it looks like a slip of one that the lake knows")
    parser.add_argument("--match", choices=MATCHES, help="how subjects are named (default: auto)")
    parser.add_argument("--repeat", choices=[each for each in REPEATS if each],
                        help="what rows are that are equal in everything, without id and time (default: rejected)")
    parser.add_argument("--valid-time", metavar="TIME", help="when undated answers were said, ISO 8601")
    parser.add_argument("--system", help="instance of the system that ids in the files belong to")
    parser.add_argument("--project", help="project in that system")
    parser.add_argument("--pipeline", metavar="FILE", help="take the annotations from a pipeline file")
    parser.add_argument("--resolve", action="store_true", help="only look again for the subjects of parked answers")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Import one set of annotations, those of a pipeline, or what had been parked."""
    from lakehouse.opinions.step import import_all, resolve_parked

    yield from import_all(lake, [] if args.resolve else _sources(lake, args))
    yield resolve_parked(lake)


def _sources(lake: Lake, args: argparse.Namespace) -> Sequence[OpinionSource]:
    from jobs.pipeline import chosen, load_pipeline
    from lakehouse.opinions.formats.options import option_values
    from lakehouse.opinions.reading.guess import guess_source
    from lakehouse.opinions.reading.guess_format import guess_format
    from lakehouse.opinions.reading.source import option_types

    if args.pipeline:
        return chosen(args.pipeline, load_pipeline(args.pipeline).opinions, args.name, kind="opinions")
    if not args.path:
        raise ConfigError("give --path FILE or FOLDER, or --pipeline FILE")
    record: dict[str, object] = {name: value for name in TEXTS if (value := getattr(args, name))}
    record |= option_values(args.option, option_types(args.format or guess_format(Path(args.path))), flag="--option")
    lists = {
        "labels": args.labels,
        "columns": pairs("--column", args.column),
        "synonyms": pairs("--synonym", args.synonym),
        "new_question": args.new_question,
        "early": args.early,
    }
    record |= {key: value for key, value in lists.items() if value}
    return [guess_source(lake, record, where="petrel opinions")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
