"""petrel: a lakehouse for deep-learning data.

The way of the data, each step a command that can be run twice and does only what is new:

    petrel land --lake my_lake --source photos --folder drops/photos
    petrel entities --lake my_lake
    petrel dimensions --lake my_lake
    petrel opinions import --lake my_lake --source photos --format csv --path labels.csv --question species \\
        --actor human:ada
    petrel build --lake my_lake --recipe conf/datasets/species.toml
    petrel materialise --lake my_lake --dataset species

or all of it from one file: petrel run --lake my_lake --pipeline conf/pipelines/digits.toml
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.common import Command

COMMANDS = {
    "init": "make an empty lake",
    "land": "bring a folder of files into the lake",
    "watch": "land what arrives in a growing folder or bucket, batch by batch",
    "entities": "make entities of landed files, reject broken ones",
    "dimensions": "measure what is missing about entities",
    "derive": "make entities of entities: resized, cropped, spectrograms, by transforms of yours",
    "reify": "make entities of what is seen: objects of tracks, places of positions",
    "rebuild": "make entities and dimensions anew from what was landed, and put right what differs",
    "embed": "give entities vectors by a model",
    "similar": "find what is like an entity or a file, by embeddings",
    "opinions": "bring labels and predictions in and out: import, export, record, resolve, retract",
    "retract": "the same as `petrel opinions retract`",
    "labels": "show and change label sets, register label policies, ask what one believes",
    "dataset": "datasets: init, check, plan, list, show, diff, trace, impact, card, tag",
    "changes": "virtual datasets as numbered changes: list, add, drop, revert",
    "catalog": "show all datasets with owner, freshness, size and who uses them, as a page too",
    "consensus": "make one answer of many about each subject, as opinions of a consensus",
    "agreement": "show how far answers agree, what each actor is like, which labels look wrong",
    "quality": "check what tables are expected to hold; failures stop datasets",
    "marts": "bring aggregates for people up to date, one SQL file each",
    "build": "build dataset versions from recipes",
    "materialise": "publish a dataset version as Parquet, for make_reader",
    "export": "write what a query or dataset selects as ImageFolder, Parquet, WebDataset or manifest",
    "evaluate": "score predictions against labels, with a verdict",
    "run": "run a whole pipeline; does only what changed",
    "sql": "ask the lake in SQL",
    "views": "save questions in SQL under names that others read: save, list, show, drop",
    "verify": "look for damage in the whole lake, or in what one dataset stands on",
    "fsck": "look for damage and for what nobody needs, with the command that mends each",
    "mend": "put back what is damaged, from where it came or from a copy of the lake",
    "show": "show everything about one file or entity",
    "view": "look at a lake in a browser, or write such pages",
    "why": "tell the whole story of one thing: what was said, what is believed and since when",
    "status": "show tables, datasets and the last runs",
    "commit": "commit the whole lake: remember which versions its tables have together, and why",
    "log": "show the commits of the lake, and what points at them",
    "tag": "name a commit of the whole lake for good, and show the names",
    "branch": "make, show and delete branches: isolated writes without a copy",
    "checkout": "have all commands of a shell work on a branch, or read a commit",
    "diff": "show what differs between two commits or branches, on both sides",
    "merge": "bring what another branch has to this one; conflicts are settled by a policy",
    "revert": "take back what one commit brought; what came later stays",
    "maintain": "put small files together, remove what nobody needs; pin versions",
    "tier": "put objects in a bucket into storage classes, by rules",
    "erase": "erase entities for privacy: bytes, rows, and what to build anew",
    "expire": "delete the bytes of a source that is old enough; rows and tombstones stay",
    "du": "show what takes room: sources, kinds of media, datasets, tables, old versions",
    "copy-lake": "copy a lake to another folder or bucket",
    "locks": "show and release the locks of a lake in a bucket",
    "doctor": "check what this machine has and lacks",
    "completion": "print what makes a shell complete these commands",
}
"""Command -> one line; the module of the same name in this package is imported only when it is called."""

VERBS: dict[str, dict[str, tuple[str, str]]] = {
    "opinions": {
        "import": ("opinions", "read files of annotations"),
        "export": ("opinions_export", "write what is said as files of a label format"),
        "record": ("opinions_record", "take answers as JSON lines from a service or a program, as they come"),
        "resolve": ("opinions_resolve", "look again for the subjects of answers that wait"),
        "retract": ("retract", "take a whole import, or single answers, back"),
    },
    "reify": {
        "tracks": ("reify", "make one object of the tracks in a video that follow one thing"),
        "places": ("reify:PLACES", "make one place of the positions in one cell of a grid on the earth"),
    },
    "labels": {
        "list": ("labels", "show the label sets, or the labels of one"),
        "add": ("labels:ADD", "add a label"),
        "rename": ("labels:RENAME", "give a label another name for people"),
        "merge": ("labels:MERGE", "have another label stand for a label"),
        "synonym": ("labels:SYNONYM", "have imports take other texts for a label"),
        "deprecate": ("labels:DEPRECATE", "mark a label as no longer to be used"),
        "restore": ("labels:RESTORE", "make a merged or deprecated label active again"),
        "parent": ("labels:PARENT", "put a label below a more general one"),
        "export-id": ("labels:EXPORT_ID", "state the id of a label in a format"),
        "history": ("labels:HISTORY", "show every version of a set or label"),
        "policy": ("policies:POLICY", "register a label policy"),
        "policies": ("policies:POLICIES", "show the label policies"),
        "believed": ("policies:BELIEVED", "ask what a policy believes, now or at a time"),
    },
    "views": {
        "list": ("views", "show the saved views"),
        "save": ("views:SAVE", "save a question under a name"),
        "show": ("views:SHOW", "print the text of one, and what it was before"),
        "drop": ("views:DROP", "have a name stand for nothing any more"),
    },
    "changes": {
        "list": ("changes", "show the changes of one virtual dataset, or of all"),
        "add": ("changes:ADD", "add entities"),
        "drop": ("changes:DROP", "drop entities"),
        "revert": ("changes:REVERT", "take one change back; later ones stay"),
    },
    "dataset": {
        "list": ("dataset", "show the datasets, and all their versions"),
        "show": ("dataset_show", "show all that is recorded of one version"),
        "prepare": ("dataset_prepare", "have a version built and published by a process of its own, its id at once"),
        "get": ("dataset_get", "tell whether a prepared version is ready, and where"),
        "freeze": ("dataset_freeze:FREEZE", "write a version to a file for git"),
        "restore": ("dataset_freeze:RESTORE", "record a version from such a file"),
        "init": ("dataset_init", "write a first recipe from what a lake holds"),
        "schema": ("dataset_schema", "print the JSON schema of recipes, for editors"),
        "check": ("dataset_check", "look for mistakes in a recipe, with their lines; no lake is needed"),
        "plan": ("dataset_plan", "tell what a build would give, and write nothing"),
        "diff": ("dataset_diff", "tell what differs between two versions, and why"),
        "trace": ("dataset_trace", "tell where one sample comes from, and why it is where it is"),
        "impact": ("dataset_impact", "tell what rests on a source, actor, licence, extractor or entity"),
        "card": ("dataset_card", "print or write what people should know of one version, as a page or Markdown"),
        "tag": ("dataset_tags:TAG", "name a version of a dataset"),
        "tags": ("dataset_tags:TAGS", "show the tags, and where they pointed before"),
    },
}
"""Command of two words -> verb -> where it is, one line. The first verb is meant where none is given. It is the name of
a module of this package, or `MODULE:NAME` of a `jobs.common.Verb` in it."""


FOOT = """
--json, which every command takes, prints what it has to say to stdout as JSON, one object a line: receipts of a step
(step, counts, writes, details, notes), rows of `sql`, damages of `verify` and `fsck` and then what they looked at, one
object of the others. Errors stay one line on stderr.

exit code: 0 done, 1 an error that is told in one line or damage that `verify` or `fsck` found, 2 wrong usage, 3 a gate
of `evaluate` failed, 130 interrupted (143: ended by SIGTERM); after 1, 130 and 143 what was committed stays, and the
same command goes on from there
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 error, 2 wrong usage, 3 a gate failed, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"petrel {version('petrel-lakehouse')}\n")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        return _unknown(f"petrel: no command `{name}`{_nearest(name, COMMANDS)}")
    if name in VERBS and rest and not rest[0].startswith("-"):
        if rest[0] not in VERBS[name]:
            return _unknown(f"petrel: {name} has no verb `{rest[0]}`{_nearest(rest[0], VERBS[name])}")
        name, rest = f"{name} {rest[0]}", rest[1:]
    if argv is None:
        # Before the imports: they take a third of a second.
        from lakehouse.ending import end_on_signals

        end_on_signals("petrel")
    from jobs.common import begin_program, main_of

    if argv is None and (code := begin_program()):
        return code
    return main_of(command_of(name), rest, engine="embedded", program=f"petrel {name}", epilog=verbs_help(name))


def module_of(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"jobs.{name.replace('-', '_')}")


def command_of(name: str) -> Command:
    """Return what runs a command: `land`, `opinions`, or with a verb `opinions retract`."""
    command, _, verb = name.partition(" ")
    if command not in VERBS:
        return module_of(command)
    place, _ = VERBS[command][verb or next(iter(VERBS[command]))]
    module, _, attribute = place.partition(":")
    found: Command = getattr(module_of(module), attribute) if attribute else module_of(module)
    return found


def verbs_help(name: str) -> str:
    """Return the lines of help about the verbs of a command; "" if it has none, or `name` names one."""
    if name not in VERBS:
        return ""
    verbs = VERBS[name]
    width = max(map(len, verbs))
    lines = [f"  {verb.ljust(width)}  {text}" for verb, (_, text) in verbs.items()]
    first = next(iter(verbs))
    return "\n".join([f"verbs (without one it is `{first}`; `petrel {name} VERB --help` tells more):", *lines])


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    return "\n".join([(__doc__ or "").rstrip(), "", "commands (`petrel COMMAND --help` tells more):", *lines, FOOT])


def _unknown(message: str) -> int:
    from lakehouse.errors import printable

    sys.stderr.write(f"{printable(message)}\n")
    return 2


def _nearest(name: str, known: Iterable[str]) -> str:
    from lakehouse.names import nearest

    return nearest(name, known)


if __name__ == "__main__":
    sys.exit(main())
