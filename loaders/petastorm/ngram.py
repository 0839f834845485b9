"""Windows of rows that follow one another in time: each is one item of a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number

import numpy as np
from numpy.typing import NDArray

from loaders.axes import Array
from loaders.petastorm.kinds import Item, Value
from loaders.petastorm.unischema import Unischema, UnischemaField, match_unischema_fields

__all__ = ["NGram"]

Fields = Mapping[int, list[UnischemaField | str]]
Window = dict[int, Item]
"""{timestep: row}, from the first timestep to the last without a gap."""


class NGram:
    """Windows of consecutive rows of a row group, which must be sorted by time; given as `schema_fields` to a reader.

    With `{-1: [image, id], 0: [id]}` an item is `{-1: row of image and id, 0: the next row, of id}`. A timestep between
    the first and the last that is not listed has a row without fields. No window reaches from one row group into the
    next.

    Args:
        fields: {timestep: fields of its row}; fields as `UnischemaField`, or as regular expressions that match names.
        delta_threshold: Between two rows of a window that follow one another passes no more time than this.
        timestamp_field: The time of a row, one that is among the fields of some timestep.
        timestamp_overlap: Whether a row may be in several windows; if not, windows begin later than the last ended.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self,
        fields: Fields,
        delta_threshold: Value,
        timestamp_field: UnischemaField | str,
        timestamp_overlap: bool = True,
    ) -> None:
        _check_fields(fields)
        if not isinstance(delta_threshold, Number):
            raise ValueError(f"delta_threshold must be a number, found {delta_threshold!r}")
        if not isinstance(timestamp_field, UnischemaField | str):
            raise ValueError("timestamp_field must be set and must be of type UnischemaField or regular expression")
        if not isinstance(timestamp_overlap, bool):
            raise ValueError("timestamp_overlap must be set and must be of type bool")
        self._fields: Fields = fields
        self._delta_threshold = delta_threshold
        self._timestamp_field = timestamp_field
        self.timestamp_overlap = timestamp_overlap

    @property
    def length(self) -> int:
        """Rows of a window."""
        return max(self._fields) - min(self._fields) + 1

    @property
    def fields(self) -> Fields:
        """{timestep: fields}, as given, or found by `resolve_regex_field_names`."""
        return self._fields

    @property
    def delta_threshold(self) -> Value:
        """The most time between two rows of a window that follow one another."""
        return self._delta_threshold

    @property
    def timestamp_name(self) -> str:
        """Name of the field that is the time of a row; raises ValueError while it is a regular expression."""
        if isinstance(self._timestamp_field, str):
            raise ValueError(f"timestamp_field {self._timestamp_field!r} is not resolved: resolve_regex_field_names")
        return self._timestamp_field.name

    def resolve_regex_field_names(self, schema: Unischema) -> None:
        """Replace regular expressions by the fields of a schema that they match.

        Raises:
            ValueError: If that for the time matches none, or several.
        """
        found = self.convert_fields(schema, [self._timestamp_field])
        if len(found) != 1:
            how_many = "more than one unischema field" if found else "no unischema field"
            raise ValueError(f"timestamp_field was matched to {how_many}: {self._timestamp_field!r}")
        self._fields = {step: [*self.convert_fields(schema, fields)] for step, fields in self._fields.items()}
        self._timestamp_field = found[0]

    def convert_fields(self, unischema: Unischema, field_list: Sequence[UnischemaField | str]) -> list[UnischemaField]:
        """Return the fields in a list, and after them those that its regular expressions match; raises ValueError."""
        patterns = [each for each in field_list if isinstance(each, str)]
        fields = [each for each in field_list if isinstance(each, tuple)]
        if len(fields) + len(patterns) != len(field_list):
            raise ValueError(
                '"Elements of fields"/"timestamp field" must be either a string (regular expressions) or an instance '
                "of UnischemaField class."
            )
        return list(dict.fromkeys([*fields, *match_unischema_fields(unischema, patterns)]))

    def get_field_names_at_timestep(self, timestep: int) -> list[str]:
        """Return the names of the fields of a timestep, none if it is not listed."""
        return [_name(field) for field in self._fields.get(timestep, ())]

    def get_field_names_at_all_timesteps(self) -> list[UnischemaField | str]:
        """Return the fields that occur at any timestep, each once."""
        return list(dict.fromkeys(field for fields in self._fields.values() for field in fields))

    def get_schema_at_timestep(self, schema: Unischema, timestep: int) -> Unischema:
        """Return the part of a schema that a timestep has, in the schema's order."""
        names = set(self.get_field_names_at_timestep(timestep))
        return schema.create_schema_view([field for name, field in schema.fields.items() if name in names])

    def windows(self, timestamps: Sequence[Value] | Array) -> NDArray[np.int64]:
        """Return the rows of each window, given the times of all rows: (windows, length).

        Raises:
            NotImplementedError: If the times are not sorted.
            TypeError: If a time is missing, or times have no difference.
        """
        times, count = _as_array(timestamps, self.timestamp_name), len(timestamps)
        starts = np.arange(max(0, count - self.length + 1))
        if self.length > 1 and len(starts):
            if not bool(np.all(times[:-1] <= times[1:])):
                raise NotImplementedError(
                    f"NGram assumes that the data is sorted by {self.timestamp_name} field which is not the case"
                )
            # How many steps up to each row were too long; a window has none inside.
            too_long = np.concatenate([[0], np.cumsum(_differences(times) > self._delta_threshold)])
            starts = starts[too_long[starts + self.length - 1] == too_long[starts]]
        if not self.timestamp_overlap:
            starts = _apart(starts, times, self.length)
        return starts[:, None] + np.arange(self.length)

    def form_ngram(self, data: Sequence[Mapping[str, Value]], schema: Unischema) -> list[Window]:
        """Return the windows of some rows, given as dicts, in which each row has the fields of its timestep.

        Raises:
            NotImplementedError: If the rows are not sorted by time.
        """
        first = min(self._fields)
        names = [set(self.get_field_names_at_timestep(first + at)) for at in range(self.length)]
        return [
            {
                first + at: {name: value for name, value in data[row].items() if name in names[at]}
                for at, row in enumerate(window)
            }
            for window in self.windows([row[self.timestamp_name] for row in data]).tolist()
        ]

    def make_namedtuple(self, schema: Unischema, ngram_as_dicts: Mapping[int, Mapping[str, Value]]) -> Window:
        """Return a window with its rows as named tuples instead of dicts."""
        return {
            step: self.get_schema_at_timestep(schema, step).make_namedtuple(**row)
            for step, row in ngram_as_dicts.items()
        }

    def __eq__(self, other: object) -> bool:
        """Whether items have the same timesteps with the same fields; times are not compared."""
        if not isinstance(other, NGram):
            return NotImplemented
        return {step: set(fields) for step, fields in self._fields.items()} == {
            step: set(fields) for step, fields in other._fields.items()
        }

    __hash__ = None  # type: ignore[assignment]  # resolving changes it


def _check_fields(fields: object) -> None:
    if not isinstance(fields, dict) or not fields:
        raise ValueError("Fields must be set and must be a dictionary.")
    for step, listed in fields.items():
        if not isinstance(step, int | np.integer):
            raise ValueError(f"Timesteps must be integers, found {step!r}")
        if not isinstance(listed, list):
            raise ValueError("Each field value must be a list of unischema fields/regular expression(s)")
        if not all(isinstance(field, UnischemaField | str) for field in listed):
            raise ValueError("All field values must be of type UnischemaField/regular expression")


def _name(field: UnischemaField | str) -> str:
    return field if isinstance(field, str) else field.name


def _as_array(timestamps: Sequence[Value] | Array, name: str) -> Array:
    if isinstance(timestamps, np.ndarray):
        times = timestamps
    else:
        if any(each is None for each in timestamps):
            raise TypeError(f"NGram needs a time in every row; a value of {name} is null")
        times = np.asarray(timestamps)
    return times.astype(np.uint8) if times.dtype == bool else times


def _differences(times: Array) -> Array:
    """Return the times between rows that follow one another; of sorted integers without an overflow."""
    if times.dtype.kind in "iu":
        times = times.astype(np.uint64)  # modulo 2**64, in which differences of sorted numbers are what they are
    return np.diff(times)


def _apart(starts: NDArray[np.int64], times: Array, length: int) -> NDArray[np.int64]:
    """Of windows that begin at `starts`, take the first, and always the next that begins later than the last ended."""
    chosen, at = [], 0
    latest = np.maximum.accumulate(times)  # windows of one row need not be sorted
    while at < len(starts):
        chosen.append(starts[at])
        later = np.searchsorted(latest, times[starts[at] + length - 1], side="right")
        at = int(np.searchsorted(starts, later))
    return np.array(chosen, dtype=np.int64)
