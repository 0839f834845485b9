"""Changes of label sets: each is a new version of a label's entry, so that nothing that was known is lost.

A label's id and class number never change. Opinions keep the label that was said; views, policies and datasets see the
one that stands for it (`lakehouse.views.ontology`). Who had known the set at some time can be asked for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lakehouse.errors import ConfigError
from lakehouse.labels.ontology import Entry, label_sets
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.reading.values import label_id
from lakehouse.opinions.words import ISTHING
from lakehouse.opinions.writing.write import import_lock
from lakehouse.steps.receipts import Receipt
from lakehouse.steps.step import step
from lakehouse.tables.insert import insert_rows
from lakehouse.views.ontology import LONGEST_CHAIN
from schemas.tables import LABEL_SETS

Entries = Mapping[str, Entry]


def add_label(lake: Lake, label_set: str, label: str, *, name: str = "", parent: str = "") -> Receipt:
    """Add a label to a set, or a set with its first label; its class number is the next one.

    Raises:
        ConfigError: If the set calls another label so, or has no such parent.
    """
    label = label_id(label)

    def change(entries: Entries) -> Entry:
        if label in entries:
            return entries[label]
        _check_name(entries, label_set, label, owner=label)
        ordinal = max((each.ordinal for each in entries.values()), default=-1) + 1
        made = Entry(label_set_id=label_set, label_id=label, version=0, name=name or label, ordinal=ordinal,
                     export_ids={}, parent_id=parent or None)  # fmt: skip
        _check_name(entries, label_set, made.name, owner=label)
        _check_parent({**entries, label: made}, made)
        return made

    return _change(lake, label_set, "add", change)


def rename_label(lake: Lake, label_set: str, label: str, name: str) -> Receipt:
    """Give a label another name for people; its id stays, its old name becomes a synonym.

    Raises:
        ConfigError: If there is no such label, or the set calls another one so.
    """

    def change(entries: Entries) -> Entry:
        held = _held(entries, label_set, label)
        _check_name(entries, label_set, name, owner=label)
        old = {held.name} - {label, name}
        return replace(held, name=name, synonyms=tuple(sorted({*held.synonyms, *old} - {name})))

    return _change(lake, label_set, "rename", change)


def add_synonym(lake: Lake, label_set: str, label: str, *texts: str) -> Receipt:
    """Have imports take other texts for a label.

    Raises:
        ConfigError: If there is no such label, or a text means another one.
    """

    def change(entries: Entries) -> Entry:
        held = _held(entries, label_set, label)
        for text in texts:
            _check_name(entries, label_set, text, owner=label)
        return replace(held, synonyms=tuple(sorted({*held.synonyms, *texts} - {label, held.name})))

    return _change(lake, label_set, "synonym", change)


def merge_label(lake: Lake, label_set: str, label: str, into: str) -> Receipt:
    """Have another label stand for a label, in views, policies and datasets; opinions keep what was said.

    `restore_label` undoes it.

    Raises:
        ConfigError: If one of them does not exist, the other one is merged itself, or the chain gets too long.
    """

    def change(entries: Entries) -> Entry:
        held, target = _held(entries, label_set, label), _held(entries, label_set, into)
        if label == into or target.merged_into is not None:
            why = "a label cannot stand for itself" if label == into else f"it is merged into {target.merged_into!r}"
            raise ConfigError(f"label set {label_set}: {label!r} cannot be merged into {into!r}: {why}")
        if _depth(entries, label) + 1 > LONGEST_CHAIN:
            raise ConfigError(
                f"label set {label_set}: more than {LONGEST_CHAIN} merges would follow one another up to {into!r}; "
                f"merge the labels that {label!r} stands for into {into!r} first"
            )
        return replace(held, status="merged", merged_into=into)

    return _change(lake, label_set, "merge", change)


def deprecate_label(lake: Lake, label_set: str, label: str) -> Receipt:
    """Mark a label as no longer to be used: what was said with it stays, and still counts.

    Raises:
        ConfigError: If there is no such label, or it is merged.
    """

    def change(entries: Entries) -> Entry:
        held = _held(entries, label_set, label)
        if held.merged_into is not None:
            raise ConfigError(f"label set {label_set}: {label!r} is merged into {held.merged_into!r} already")
        return replace(held, status="deprecated")

    return _change(lake, label_set, "deprecate", change)


def restore_label(lake: Lake, label_set: str, label: str) -> Receipt:
    """Make a merged or deprecated label active again: it stands for itself from now on.

    Raises:
        ConfigError: If there is no such label.
    """

    def change(entries: Entries) -> Entry:
        return replace(_held(entries, label_set, label), status="active", merged_into=None)

    return _change(lake, label_set, "restore", change)


def set_parent(lake: Lake, label_set: str, label: str, parent: str) -> Receipt:
    """Put a label below a more general one; "" puts it on top.

    Raises:
        ConfigError: If one of them does not exist, or the label would be below itself.
    """

    def change(entries: Entries) -> Entry:
        made = replace(_held(entries, label_set, label), parent_id=parent or None)
        _check_parent({**entries, label: made}, made)
        return made

    return _change(lake, label_set, "parent", change)


def set_export_ids(lake: Lake, label_set: str, label: str, ids: Mapping[str, str]) -> Receipt:
    """State which id a label has in a format, as `{"coco": "18"}`; "" takes it away.

    Raises:
        ConfigError: If there is no such label, or another one has that id in the format.
    """

    def change(entries: Entries) -> Entry:
        held = _held(entries, label_set, label)
        for name, export_id in ids.items():
            for other in entries.values():
                is_taken = other.label_id != label and export_id and other.export_ids.get(name) == export_id
                if is_taken and name != ISTHING:
                    raise ConfigError(f"label set {label_set}: {other.label_id!r} has id {export_id} in {name}")
        kept = {name: export_id for name, export_id in {**held.export_ids, **ids}.items() if export_id}
        return replace(held, export_ids=dict(sorted(kept.items())))

    return _change(lake, label_set, "export-id", change)


def _change(lake: Lake, name: str, verb: str, change: Callable[[Entries], Entry]) -> Receipt:
    if not name:
        raise ConfigError("name the label set")
    with step(lake, "labels") as record:
        # Under the lock of imports: they register labels too, and two versions of one number would lose one.
        with import_lock(lake):
            known = label_sets(lake)
            if verb != "add" and name not in known:
                raise ConfigError(f"no label set `{name}`{nearest(name, known)}")
            entries = known.get(name, {})
            made = change(entries)
            is_new = made != entries.get(made.label_id)
            if is_new:
                row = replace(made, version=made.version + 1, ingest_time=None, valid_from=None).row()
                record.writes.append(insert_rows(lake, LABEL_SETS, [row], step="labels"))
        record.counts = {"changed": int(is_new), "same": int(not is_new)}
        record.details = {"label_set": name, "label": made.label_id, "verb": verb}
    return record.finished()


def _held(entries: Entries, set_id: str, label: str) -> Entry:
    if label not in entries:
        raise ConfigError(f"label set {set_id} has no label {label!r}{nearest(label, entries)}")
    return entries[label]


def _check_name(entries: Entries, set_id: str, text: str, *, owner: str) -> None:
    label_id(text, "name")
    for each in entries.values():
        if each.label_id != owner and text in (each.label_id, each.name, *each.synonyms):
            raise ConfigError(f"label set {set_id}: {text!r} means label {each.label_id!r} already; merge the labels")


def _check_parent(entries: Entries, made: Entry) -> None:
    seen, parent = {made.label_id}, made.parent_id
    if parent is not None:
        _held(entries, made.label_set_id, parent)
    # What COCO calls a supercategory may be no label, or the label itself: there it ends.
    while parent is not None and parent in entries:
        above = entries[parent]
        if parent in seen:
            raise ConfigError(f"label set {made.label_set_id}: {made.label_id!r} would be below itself")
        seen.add(parent)
        parent = None if above.parent_id == above.label_id else above.parent_id


def _depth(entries: Entries, label: str) -> int:
    """Return how many merges follow one another up to this label."""
    below = [each.label_id for each in entries.values() if each.merged_into == label]
    return max((1 + _depth(entries, each) for each in below), default=0)

