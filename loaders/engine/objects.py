"""The objects of a sample as one: boxes, labels and masks move with the picture, leave it together, are padded alike.

Columns that state the same `objects` are one group. Where a decoder changes the picture of a group, its values are
moved by what the decoder did, and objects are dropped as `loaders.decoding.groups` says; `<group>_dropped` says how
many, for each sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loaders.axes import Array, DType, Ints
from loaders.decoding.decoders import AnyDecoder
from loaders.decoding.groups import group_name, settled
from loaders.decoding.placement import Placement
from loaders.decoding.values import dense_dtype
from loaders.errors import DecodeError, FormatError
from loaders.format.fields import Field, is_number_list
from loaders.options import ReadOptions

Output = tuple[str, str, tuple[int, ...], DType]
"""(column, what, shape of one value, dtype) of an array of a batch."""

_COUNTS = np.dtype(np.int64)
NO_CLASS = -1
"""In place of the class number of an object that is not there."""


@dataclass(frozen=True, slots=True)
class Group:
    """Columns with one entry for each of the same objects.

    Attributes:
        name: That they state as `objects`; of a column with geometry alone, its own.
        shapes: Those with geometry.
        entries: The others; without the counts of polygons.
        picture: Column whose decoder moves them, None if they stay as they are stored.
        size: Objects to which they are padded, None for lists.
    """

    name: str
    shapes: tuple[Field, ...]
    entries: tuple[Field, ...]
    picture: str | None
    size: int | None

    @property
    def dropped(self) -> str:
        """Column with the number of objects that left the picture."""
        return f"{self.name}_dropped"

    @property
    def count(self) -> str:
        """Column with the number of objects that are there, of padded ones."""
        return f"{self.name}_count"


@dataclass(frozen=True, slots=True)
class Objects:
    """What becomes of the groups of a reader. Make one with `objects_of`.

    Attributes:
        groups: Those that are moved or padded; most readers have none.
        outputs: Arrays that batches have for them: affines, counts, and padded columns.
        min_visible: See `ReadOptions`.
        affines: Pictures for which batches say how they lie in the decoded ones.
    """

    groups: tuple[Group, ...] = ()
    outputs: tuple[Output, ...] = ()
    min_visible: float = 0.0
    affines: tuple[str, ...] = ()

    @property
    def pictures(self) -> frozenset[str]:
        """Columns of pictures whose decoders must say what they did."""
        moved = {group.picture for group in self.groups if group.picture is not None}
        return frozenset(moved | {*self.affines})

    @property
    def runs(self) -> frozenset[str]:
        """Columns of masks that are unpacked when they are moved, not before."""
        moved = (field for group in self.groups if group.picture is not None for field in group.shapes)
        return frozenset(field.name for field in moved if field.codec == "coco_rle")

    @property
    def padded(self) -> Mapping[str, float]:
        """{padded column: what stands where no object is}."""
        names = {name for name, what, *_ in self.outputs if what == "values"}
        fields = [field for group in self.groups for field in (*group.shapes, *group.entries)]
        return {field.name: _filler(field) for field in fields if field.name in names}

    @property
    def added(self) -> tuple[str, ...]:
        """Columns that are added to batches: counts, and affines."""
        return tuple(name for name, *_ in self.outputs if name not in self.padded)

    def settle(
        self, row: int, lists: Mapping[str, list[Any]], dense: Mapping[str, Array],
        placements: Mapping[str, Sequence[Placement | None]], moved: Ints,
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """Move, drop, count and pad the objects of one row, in place.

        Args:
            row: Which.
            lists: {column: value of each row}.
            dense: {column: (rows, ...)}, of `outputs`.
            placements: {column of pictures: what its decoder did with each}.
            moved: int64 (rows,): how many objects of each row were moved is added to it, dropped ones included.

        Yields:
            (column, why) of what cannot be: lists of different lengths, too many objects.
        """
        for name in self.affines:
            placement = placements[name][row]
            if placement is not None:
                dense[affine_of(name)][row] = placement.affine
        for group in self.groups:
            placement = None
            if group.picture is not None:
                placement = placements[group.picture][row]
                if placement is None:  # the picture failed, and the sample with it
                    continue
            try:
                before, after = settled(
                    group.name, group.shapes, group.entries, row, lists, placement, self.min_visible
                )
                if group.picture is not None:
                    dense[group.dropped][row] = before - after
                    moved[row] += before
                if group.size is not None:
                    _pad(group, group.size, row, after, lists, dense)
            except DecodeError as error:
                yield (group.shapes or group.entries)[0].name, str(error)


def objects_of(
    stated: Sequence[Field], read: Sequence[Field], decoders: Mapping[str, AnyDecoder], options: ReadOptions
) -> Objects:
    """Settle what becomes of the objects of a reader.

    Args:
        stated: All fields of the split.
        read: Those that are read.
        decoders: {column: decoder}.
        options: `min_visible` and `pad_to` count.

    Raises:
        FormatError: If columns of objects are read without what says where they are, or cannot be padded.
    """
    names = dict.fromkeys(name for field in read if (name := group_name(field)) is not None)
    if unknown := sorted(set(options.pad_to) - {*names}):
        raise FormatError(f"pad_to names {unknown}; the columns that are read are of the objects {sorted(names)}")
    groups: list[Group] = []
    for name in names:
        members = [field for field in read if group_name(field) == name]
        shapes = tuple(field for field in members if field.geometry is not None)
        counts = {field.geometry.parts for field in shapes if field.geometry is not None}
        entries = tuple(field for field in members if field.geometry is None and field.name not in counts)
        picture = _picture_of(name, stated, decoders)
        size = options.pad_to.get(name)
        if picture is None and size is None:
            continue
        _check_read(name, shapes, entries, read, picture)
        groups.append(Group(name, shapes, entries, picture, size))
    affines = tuple(field.name for field in read if options.affines and field.name in decoders)
    outputs: list[Output] = [(affine_of(name), "values", (2, 3), np.dtype(np.float64)) for name in affines]
    outputs += [output for group in groups for output in _outputs(group, decoders)]
    given = {affine_of(name) for name in affines}
    given |= {group.dropped for group in groups if group.picture is not None}
    given |= {group.count for group in groups if group.size is not None}
    if taken := sorted({field.name for field in read} & given):
        raise FormatError(f"columns {taken} have names that the reader gives to counts or affines; leave them out")
    return Objects(tuple(groups), tuple(outputs), options.min_visible, affines)


def affine_of(picture: str) -> str:
    """Return the column that says how a picture lies in the decoded one."""
    return f"{picture}_affine"


def _picture_of(name: str, stated: Sequence[Field], decoders: Mapping[str, AnyDecoder]) -> str | None:
    """Return the picture in which the objects of a group lie, None if no decoder changes it."""
    pictures = {field.geometry.of for field in stated if group_name(field) == name and field.geometry is not None}
    if len(pictures) > 1 and pictures & decoders.keys():
        raise FormatError(f"the objects {name!r} lie in several pictures, {sorted(pictures)}; no decoder can move them")
    return next((each for each in pictures if each in decoders), None)


def _check_read(
    name: str, shapes: Sequence[Field], entries: Sequence[Field], read: Sequence[Field], picture: str | None
) -> None:
    columns = {field.name for field in read}
    if picture is not None and not shapes:
        raise FormatError(
            f"columns {[field.name for field in entries]} have an entry for each of the objects {name!r}, and the "
            f"decoder of {picture!r} may drop some: read the column with their boxes or other shapes, too"
        )
    for field in shapes:
        geometry = field.geometry
        assert geometry is not None
        for cut in (geometry.sizes, geometry.parts):
            if cut is not None and cut not in columns:
                raise FormatError(f"column {field.name!r} is cut by {cut!r}: read that, too")


def _outputs(group: Group, decoders: Mapping[str, AnyDecoder]) -> Iterator[Output]:
    if group.picture is not None:
        yield group.dropped, "values", (), _COUNTS
    if group.size is None:
        return
    yield group.count, "values", (), _COUNTS
    for field in (*group.shapes, *group.entries):
        if field.codec == "raw" and not is_number_list(field.type):
            continue  # text stays in lists
        if field.geometry is not None and field.geometry.kind == "polygons":
            raise FormatError(f"pad_to: {field.name!r} are polygons, which have no size in common; leave them lists")
        rest: tuple[int | None, ...] = (field.shape or (None,))[1:]
        if field.codec == "coco_rle":
            rest = (field.shape or (None, None, None))[1:]
            if group.picture is not None:
                rest = decoders[group.picture].shape[:2]
        dtype = dense_dtype(field)
        fixed = tuple(axis for axis in rest if axis is not None)
        if len(fixed) < len(rest) or dtype is None:
            raise FormatError(
                f"pad_to: values of {field.name!r} differ in more than their number, {rest}; use a decoder that gives "
                "one size"
            )
        yield field.name, "values", (group.size, *fixed), dtype


def _filler(field: Field) -> float:
    return NO_CLASS if field.classes is not None else 0


def _pad(
    group: Group, size: int, row: int, count: int, lists: Mapping[str, list[Any]], dense: Mapping[str, Array]
) -> None:
    """Copy the values of a row into their arrays, and fill up what is beyond."""
    if count > size:
        raise DecodeError(f"{count} objects, and pad_to gives {group.name!r} room for {size}; make it larger")
    dense[group.count][row] = count
    for field in (*group.shapes, *group.entries):
        out = dense.get(field.name)
        if out is not None:
            value = lists[field.name][row]
            out[row, count:] = _filler(field)
            out[row, :count] = _filler(field) if value is None else value
