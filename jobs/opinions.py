"""Bring answers in: labels from CSV, JSON lines, Pascal VOC or folder names become rows of silver.opinions.

    # one row per answer: columns subject and label (and actor, time, votes ... when --column names them)
    petrel opinions --lake my_lake --format csv --path labels.csv --source photos \\
        --question species --actor human:ada --column subject=file --column label=class

    # folder names as labels; Pascal VOC boxes; counts of anonymous votes
    petrel opinions --lake my_lake --format imagefolder --path photos --source photos --question species \\
        --actor import:folders
    petrel opinions --lake my_lake --format voc --path Annotations --source cells --question cells --actor import:bccd
    petrel opinions --lake my_lake --format csv --path votes.csv --source cifar10 --question object \\
        --actor pool:cifar10h --column subject=image --column votes=count

    # everything that a pipeline file lists under [[opinions]]; answers that waited for their subject
    ./spark-submit.sh jobs/opinions.py --lake my_lake --pipeline conf/pipelines/digits.toml
    petrel opinions --lake my_lake --resolve

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

from jobs.common import main_of, pairs
from jobs.pipeline import chosen, load_pipeline
from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.opinions.formats import FORMATS
from lakehouse.opinions.source import REPEATS
from lakehouse.opinions.step import OpinionSource, import_all, opinion_source_from, resolve_parked
from lakehouse.opinions.subjects import MATCHES
from lakehouse.receipts import Receipt

TEXTS = ("name", "format", "path", "question", "actor", "source", "match", "repeat", "valid_time", "system", "project")
"""Arguments that go to the source as they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this step takes."""
    parser.add_argument("--format", choices=sorted(FORMATS), help="how the answers are written")
    parser.add_argument("--path", metavar="PATH", help="file or folder with the annotations")
    parser.add_argument("--question", help="what is answered, for example species")
    parser.add_argument("--actor", metavar="KIND:NAME", help="who answers, for example human:ada or import:folders")
    parser.add_argument("--source", help="landed source whose files the answers are about (default: all)")
    parser.add_argument("--early", action="store_true",
                        help="the source may land later: answers wait for it (default: its name must be known)")
    parser.add_argument("--name", help="name of these annotations; with --pipeline: import only this entry")
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=COLUMN",
                        help="csv: column that holds subject, label, actor, votes, time, confidence, slot, id ...")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE",
                        help="another option of the format, for example voc_origin=0 or actor_prefix=human:")
    parser.add_argument("--label", action="append", default=[], dest="labels", metavar="LABEL",
                        help="one label of the closed set, in order; others are rejected (default: learn them)")
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
    yield from import_all(lake, [] if args.resolve else _sources(args))
    yield resolve_parked(lake)


def _sources(args: argparse.Namespace) -> Sequence[OpinionSource]:
    if args.pipeline:
        return chosen(args.pipeline, load_pipeline(args.pipeline).opinions, args.name, kind="opinions")
    if not (args.format and args.path and args.question and args.actor):
        raise ConfigError("give --format, --path, --question and --actor, or --pipeline FILE")
    record: dict[str, object] = {name: value for name in TEXTS if (value := getattr(args, name))}
    record |= {key: _value(text) for key, text in pairs("--option", args.option).items()}
    if args.early:
        record["early"] = True
    if args.labels:
        record["labels"] = args.labels
    if args.column:
        record["columns"] = pairs("--column", args.column)
    return [opinion_source_from(record, where="petrel opinions")]


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() else text


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
