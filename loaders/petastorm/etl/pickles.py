"""Pickles read as data: a machine of our own that looks nothing up, imports nothing and calls nothing.

A pickle is a program that names functions and calls them. Here a name becomes a `Symbol`, and a call a `Record` of what
was to be called with what; both are inert. Names are compared, whole and exactly, with a list that the caller gives,
and everything else is refused: other names, calls of what is no maker, opcodes that schemas do not need.
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from loaders.errors import FormatError

Name = tuple[str, str]
"""Module and name."""

Data: TypeAlias = Any
"""What a pickle says: None, numbers, text, bytes, lists, tuples of Python's, and each object as a `Record`."""

codecs.lookup("raw-unicode-escape")  # what UNICODE needs, looked up (a module of Python's is imported) before any data

DICT: Name = ("builtins", "dict")
SET: Name = ("builtins", "set")
_MAPPINGS = (DICT, ("collections", "OrderedDict"), ("collections", "defaultdict"))
_SETS = (SET, ("__builtin__", "set"))


class UnsafePickleError(FormatError):
    """A pickle that is not read: it names, or does, what stored schemas do not.

    Attributes:
        offender: The name or opcode at fault.
    """

    def __init__(self, message: str, *, offender: str) -> None:
        super().__init__(message)
        self.offender = offender


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a pickle is read.

    Attributes:
        bytes: Of the pickle.
        opcodes: Steps of its program.
        depth: Containers and calls within one another.
    """

    bytes: int = 1 << 20
    opcodes: int = 10_000
    depth: int = 64


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that a pickle refers to."""

    module: str
    name: str

    @property
    def key(self) -> Name:
        """Module and name."""
        return self.module, self.name

    def __str__(self) -> str:
        return shown(f"{self.module}.{self.name}")


@dataclass(eq=False, slots=True)
class Record:
    """A call that did not happen, or a mapping or set.

    Attributes:
        symbol: What was to be called; `builtins.dict` and `builtins.set` for those that opcodes make.
        args: With what.
        state: What was to become its state; None if nothing was.
        pairs: What was put into it by key, in order.
        items: What was added to it, in order.
    """

    symbol: Symbol
    args: tuple[Data, ...] = ()
    state: Data = None
    pairs: list[tuple[Data, Data]] = field(default_factory=list, repr=False)
    items: list[Data] = field(default_factory=list, repr=False)


def read_pickle(raw: bytes, *, names: Collection[Name], makers: Collection[Name], limits: Limits | None = None) -> Data:
    """Return what a pickle describes: None, booleans, numbers, text, bytes, lists and tuples, Symbols and Records.

    Nothing is hashed, compared or copied that the pickle determines, so its size bounds time and memory.

    Args:
        raw: Protocol 0 to 5.
        names: What it may refer to.
        makers: What of it may be called.
        limits: How much is read; see `Limits`.

    Raises:
        UnsafePickleError: If it does or names anything else, is too large, or damaged.
    """
    return _Machine(names, makers, limits or Limits()).run(raw)


def shown(text: str) -> str:
    """Return a hostile name as it may stand in a message: ASCII, and not longer than 100 characters."""
    return ascii(text[:100])[1:-1]


class _Machine:
    def __init__(self, names: Collection[Name], makers: Collection[Name], limits: Limits) -> None:
        self._names, self._makers, self._limits = names, makers, limits
        self._stack: list[Data] = []
        self._marks: list[list[Data]] = []
        self._memo: dict[int, Data] = {}

    def run(self, raw: bytes) -> Data:
        if len(raw) > self._limits.bytes:
            raise _refused(f"{len(raw):,} bytes; at most {self._limits.bytes:,} are read", "its size")
        end = 0
        for count, (name, argument, position) in enumerate(_opcodes(raw)):
            if count >= self._limits.opcodes:
                raise _refused(f"more than {self._limits.opcodes:,} opcodes", "its length")
            end = position + 1
            if name == "STOP":
                break
            self._step(name, argument)
            if len(self._marks) > self._limits.depth:
                raise _refused(f"more than {self._limits.depth} marks within one another", "its depth")
        if end != len(raw):
            raise _refused(f"{len(raw) - end:,} bytes behind its end", "STOP")
        if len(self._stack) != 1 or self._marks:
            raise _refused("it does not end with one value", "STOP")
        _check_depth(self._stack[0], self._limits.depth)
        return self._stack[0]

    def _step(self, name: str, argument: Data) -> None:
        if name in _LITERALS:
            self._stack.append(argument)
            return
        handler = _HANDLERS.get(name)
        if handler is None:
            raise _refused(f"the opcode {name}, which stored schemas do not need", name)
        try:
            handler(self, name, argument)
        except IndexError as error:
            raise _refused(f"damaged: {name} finds nothing on the stack", name) from error

    def _pop(self, name: str, kind: type | tuple[type, ...]) -> Data:
        value = self._stack.pop()
        self._must_be(name, value, kind)
        return value

    def _must_be(self, name: str, value: Data, kind: type | tuple[type, ...]) -> None:
        if not isinstance(value, kind):
            what = str(value) if isinstance(value, Symbol) else type(value).__name__
            raise _refused(f"{name} of {what}", what if isinstance(value, Symbol) else name)

    def _since_mark(self) -> list[Data]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _nothing(self, name: str, argument: Data) -> None:
        """Pass over what says nothing about values."""

    def _protocol(self, name: str, argument: int) -> None:
        if argument > 5:
            raise _refused(f"protocol {argument}; 0 to 5 are read", name)

    def _constant(self, name: str, argument: Data) -> None:
        self._stack.append(_CONSTANTS[name])

    def _empty(self, name: str, argument: Data) -> None:
        self._stack.append(_EMPTY[name]())

    def _mark(self, name: str, argument: Data) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _list(self, name: str, argument: Data) -> None:
        items = self._since_mark()
        self._stack.append(items)

    def _tuple(self, name: str, argument: Data) -> None:
        items = tuple(self._since_mark())
        self._stack.append(items)

    def _short_tuple(self, name: str, argument: Data) -> None:
        size = int(name[-1])
        if len(self._stack) < size:
            raise IndexError
        self._stack[-size:] = [tuple(self._stack[-size:])]

    def _dict(self, name: str, argument: Data) -> None:
        pairs = self._pairs(name, self._since_mark())
        self._stack.append(_dict(pairs))

    def _append(self, name: str, argument: Data) -> None:
        items = [self._stack.pop()] if name == "APPEND" else self._since_mark()
        self._must_be(name, self._stack[-1], list)
        self._stack[-1].extend(items)

    def _set_items(self, name: str, argument: Data) -> None:
        items = [self._stack.pop(-2), self._stack.pop()] if name == "SETITEM" else self._since_mark()
        self._target(name, _MAPPINGS).pairs.extend(self._pairs(name, items))

    def _add_items(self, name: str, argument: Data) -> None:
        items = self._since_mark()
        self._target(name, _SETS).items.extend(items)

    def _target(self, name: str, wanted: Collection[Name]) -> Record:
        record = self._stack[-1]
        self._must_be(name, record, Record)
        if record.symbol.key not in wanted:
            raise _refused(f"{name} into {record.symbol}", str(record.symbol))
        return record  # type: ignore[no-any-return]

    def _pairs(self, name: str, items: list[Data]) -> list[tuple[Data, Data]]:
        if len(items) % 2:
            raise _refused(f"damaged: {name} of a key without a value", name)
        return list(zip(items[::2], items[1::2], strict=True))

    def _global(self, name: str, argument: Data) -> None:
        if name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
        else:
            attribute, module = self._pop(name, str), self._pop(name, str)
        if (module, attribute) not in self._names:
            offender = shown(f"{module}.{attribute}")
            raise _refused(f"the name {offender}, which is not among those that are read", offender)
        self._stack.append(Symbol(module, attribute))

    def _call(self, name: str, argument: Data) -> None:
        args = self._pop(name, tuple)
        symbol = self._pop(name, Symbol)
        if symbol.key not in self._makers:
            raise _refused(f"a call ({name}) of {symbol}, which is not called in what is read", str(symbol))
        self._stack.append(Record(symbol, args))

    def _build(self, name: str, argument: Data) -> None:
        state = self._stack.pop()
        record = self._stack[-1]
        self._must_be(name, record, Record)
        if record.state is not None or record.symbol.key in (*_MAPPINGS, *_SETS):
            raise _refused(f"{name} of the state of {record.symbol}", str(record.symbol))
        record.state = state

    def _put(self, name: str, argument: int | None) -> None:
        self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]

    def _get(self, name: str, argument: int) -> None:
        if argument not in self._memo:
            raise _refused(f"damaged: {name} of {argument}, which was not put", name)
        self._stack.append(self._memo[argument])


_Handler = Callable[[_Machine, str, Data], None]
_LITERALS = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
))  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_HANDLERS: dict[str, _Handler] = {
    "PROTO": _Machine._protocol,
    "FRAME": _Machine._nothing,
    "MARK": _Machine._mark,
    "LIST": _Machine._list,
    "TUPLE": _Machine._tuple,
    "DICT": _Machine._dict,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._global,
    "REDUCE": _Machine._call,
    "NEWOBJ": _Machine._call,
    "BUILD": _Machine._build,
    **dict.fromkeys(_CONSTANTS, _Machine._constant),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_DICT", "EMPTY_SET"), _Machine._empty),
    **dict.fromkeys(("TUPLE1", "TUPLE2", "TUPLE3"), _Machine._short_tuple),
    **dict.fromkeys(("APPEND", "APPENDS"), _Machine._append),
    **dict.fromkeys(("SETITEM", "SETITEMS"), _Machine._set_items),
    "ADDITEMS": _Machine._add_items,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
}


def _opcodes(raw: bytes) -> Iterator[tuple[str, Data, int]]:
    """Give name, argument and position of each opcode."""
    steps = pickletools.genops(raw)
    while True:
        try:
            opcode, argument, position = next(steps)
        except StopIteration:
            return
        except Exception as error:  # cut off, or arguments that are none: ValueError, UnicodeError, OverflowError, ...
            raise _refused(f"damaged: {shown(str(error))}", "its bytes") from error
        yield opcode.name, argument, position or 0


def _dict(pairs: list[tuple[Data, Data]] | None = None) -> Record:
    return Record(Symbol(*DICT), pairs=pairs or [])


def _set() -> Record:
    return Record(Symbol(*SET))


_EMPTY: dict[str, Callable[[], Data]] = {
    "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": _dict, "EMPTY_SET": _set
}  # fmt: skip


def _check_depth(value: Data, limit: int) -> None:
    """Refuse what is nested deeper than `limit`, or in itself. A value that is shared is looked at once."""
    heights: dict[int, int | None] = {id(value): None}  # of values that were left; None: we are within it
    path: list[tuple[Data, Iterator[Data]]] = [(value, _parts(value))]
    tops = [0]
    while path:
        inner = next(path[-1][1], None)
        if inner is None:
            height = heights[id(path.pop()[0])] = tops.pop() + 1
            if tops:
                tops[-1] = max(tops[-1], height)
            continue
        known = heights.get(id(inner), 0)
        if known is None or len(path) + known > limit:
            raise _refused(f"values nested deeper than {limit}, or within themselves", "its depth")
        if known:
            tops[-1] = max(tops[-1], known)
        else:
            heights[id(inner)] = None
            path.append((inner, _parts(inner)))
            tops.append(0)


def _parts(value: Data) -> Iterator[Data]:
    """Give what a value holds, if it may hold something in turn."""
    if isinstance(value, list | tuple):
        held: list[Data] = list(value)
    elif isinstance(value, Record):
        held = [value.args, value.state, *value.pairs, *value.items]
    else:
        return
    yield from (each for each in held if isinstance(each, list | tuple | Record))


def _refused(what: str, offender: str) -> UnsafePickleError:
    return UnsafePickleError(f"a pickle is refused, and nothing of it was run: {what}", offender=offender)
