"""Show and change label sets: what labels are called, which stand for others, which id they have in a format.

    petrel labels --lake my_lake                                    # all sets; one with its labels: list species
    petrel labels add species lynx --parent cat
    petrel labels rename species felis "house cat"
    petrel labels merge species kitten cat                          # restore undoes it
    petrel labels synonym species cat Cat kitty
    petrel labels export-id species cat coco=17
    petrel labels history species kitten

Nothing is overwritten: each change is a new version of the label. Ids and class numbers of labels never change, and
opinions keep what was said; views, policies and datasets see the label that stands for a merged one.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.common import Verb, main_of, pairs
from jobs.output import say, say_json, say_table
from jobs.times import instant_of
from lakehouse.steps.receipts import Receipt

if TYPE_CHECKING:
    from lakehouse.labels.ontology import Entry
    from lakehouse.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `petrel labels list` takes."""
    parser.add_argument("label_set", nargs="?", default="", metavar="SET",
                        help="label set (default: all, without their labels)")
    parser.add_argument("--known-at", metavar="TIME", help="as the lake knew it then, ISO 8601 (default: now)")


def run(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    """Show the sets, or the labels of one."""
    from lakehouse.labels import ontology

    if args.label_set:
        known_at = instant_of("--known-at", args.known_at)
        _say(list(ontology.label_set(lake, args.label_set, known_at=known_at).values()), args)
    else:
        rows = [[name, len(labels)] for name, labels in ontology.label_sets(lake).items()]
        if args.json:
            for name, count in rows:
                say_json({"label_set": name, "labels": count})
        elif rows:
            say_table(["label_set", "labels"], rows)
        else:
            say("no label sets yet; `petrel opinions import` learns labels, `petrel labels add SET LABEL` states them")
    return iter(())


def _history(lake: Lake, args: argparse.Namespace) -> Iterator[Receipt]:
    from lakehouse.labels.ontology import history

    _say(history(lake, args.label_set, args.label or ""), args)
    return iter(())


def _say(entries: Sequence[Entry], args: argparse.Namespace) -> None:
    if args.json:
        for each in entries:
            say_json(dataclasses.asdict(each))
        return
    header = ["number", "label", "version", "name", "parent", "synonyms", "export_ids", "status", "stands_for_it",
              "since"]  # fmt: skip
    rows = [
        [
            each.ordinal, each.label_id, each.version, each.name, each.parent_id or "", ", ".join(each.synonyms),
            ", ".join(f"{name}={export_id}" for name, export_id in each.export_ids.items()), each.status,
            each.merged_into or "", f"{each.ingest_time:%Y-%m-%d %H:%M:%S}" if each.ingest_time else "",
        ]
        for each in entries
    ]  # fmt: skip
    # A column that nothing stands in tells nothing.
    kept = [i for i, name in enumerate(header) if name in ("number", "label") or any(row[i] != "" for row in rows)]
    say_table([header[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _names(*names: str, more: str = "") -> _Adder:
    return _Adder(names, more)


@dataclasses.dataclass(frozen=True, slots=True)
class _Adder:
    """Arguments of a verb: the set, the label, and what else it takes."""

    names: tuple[str, ...]
    more: str = ""

    def __call__(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("label_set", metavar="SET", help="label set")
        parser.add_argument("label", metavar="LABEL", help="id of the label")
        for name in self.names:
            parser.add_argument(name.lower(), metavar=name)
        if self.more:
            parser.add_argument("more", nargs="+", metavar=self.more)


def _arguments_of_add(parser: argparse.ArgumentParser) -> None:
    _names()(parser)
    parser.add_argument("--name", default="", help="name for people (default: the id)")
    parser.add_argument("--parent", default="", metavar="LABEL", help="more general label")


def _arguments_of_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label_set", metavar="SET", help="label set")
    parser.add_argument("label", nargs="?", metavar="LABEL", help="id of the label (default: all)")


def _arguments_of_parent(parser: argparse.ArgumentParser) -> None:
    _names()(parser)
    parser.add_argument("parent", nargs="?", default="", metavar="PARENT", help="more general label (default: on top)")


def _add(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import add_label

    return add_label(lake, args.label_set, args.label, name=args.name, parent=args.parent)


def _rename(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import rename_label

    return rename_label(lake, args.label_set, args.label, args.name)


def _merge(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import merge_label

    return merge_label(lake, args.label_set, args.label, args.into)


def _synonym(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import add_synonym

    return add_synonym(lake, args.label_set, args.label, *args.more)


def _deprecate(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import deprecate_label

    return deprecate_label(lake, args.label_set, args.label)


def _restore(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import restore_label

    return restore_label(lake, args.label_set, args.label)


def _parent(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import set_parent

    return set_parent(lake, args.label_set, args.label, args.parent)


def _export_id(lake: Lake, args: argparse.Namespace) -> Receipt:
    from lakehouse.labels.changes import set_export_ids

    return set_export_ids(lake, args.label_set, args.label, pairs("export-id", args.more))


ADD = Verb("Add a label to a set, or a set with its first label.", _arguments_of_add, _add)
RENAME = Verb(
    "Give a label another name for people; its id stays, the old name becomes a synonym.", _names("NAME"), _rename
)
MERGE = Verb("Have another label stand for a label; `restore` undoes it.", _names("INTO"), _merge)
SYNONYM = Verb("Have imports take other texts for a label.", _names(more="TEXT"), _synonym)
DEPRECATE = Verb("Mark a label as no longer to be used; what was said with it still counts.", _names(), _deprecate)
RESTORE = Verb("Make a merged or deprecated label active again.", _names(), _restore)
PARENT = Verb("Put a label below a more general one, or on top.", _arguments_of_parent, _parent)
EXPORT_ID = Verb("State the id of a label in a format, as coco=17; coco= takes it away.", _names(more="FORMAT=ID"),
                 _export_id)  # fmt: skip
HISTORY = Verb("Show every version of the labels of a set, or of one label.", _arguments_of_history, _history)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program: lists the label sets."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
