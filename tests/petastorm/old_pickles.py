"""Pickles of a Unischema as Petastorm wrote them under Python 2: protocol 0, with a memo, byte strings as text.

The real Petastorm must be able to read what `emit` gives, which shows that the emulation is one; only what old
versions wrote while PySpark replaced `namedtuple` (`restore=True`) it cannot read any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

NAMES_OF_THEN = {"str_": "unicode_", "bytes_": "string_"}
NAMES_OF_A_FIELD = ("name", "numpy_dtype", "shape", "codec", "nullable")


def renamed(raw: bytes, package: str) -> bytes:
    """Return a pickle as the package wrote it when it had another name."""
    return raw.replace(b"cpetastorm.", f"c{package}.".encode())


def emit(schema: Any, *, restore: bool = False) -> bytes:
    """Return the pickle of a Unischema.

    Args:
        schema: of the real Petastorm.
        restore: Write fields as PySpark's replacement of `namedtuple` did.
    """
    emitter = _Emitter(restore)
    emitter.schema(schema)
    return "".join([*emitter.out, "."]).encode("ascii")


class _Emitter:
    def __init__(self, restore: bool) -> None:
        self.restore = restore
        self.out: list[str] = []
        self.memo: dict[str, int] = {}
        self.count = 0

    def put(self) -> None:
        self.count += 1
        self.out.append(f"p{self.count}\n")

    def once(self, key: str, write: Callable[[], None]) -> None:
        """Write a value the first time; after that a reference to it."""
        if key in self.memo:
            self.out.append(f"g{self.memo[key]}\n")
            return
        write()
        self.put()
        self.memo[key] = self.count

    def text(self, value: str) -> None:
        self.once(f"text {value}", lambda: self.out.append(f"S{value!r}\n"))

    def named(self, module: str, name: str) -> None:
        self.once(f"global {module} {name}", lambda: self.out.append(f"c{module}\n{name}\n"))

    def group(self, write: Callable[[], None], close: str = "t") -> None:
        self.out.append("(")
        write()
        self.out.append(close)
        self.put()

    def made(self, module: str, name: str, state: Iterable[tuple[str, Callable[[], None]]] = ()) -> None:
        def arguments() -> None:
            self.named(module, name)
            self.named("__builtin__", "object")
            self.out.append("N")

        self.named("copy_reg", "_reconstructor")
        self.group(arguments)
        self.out.append("R")
        self.put()
        pairs = list(state)
        if pairs:
            self.group(lambda: None, "d")
            for key, write in pairs:
                self.text(key)
                write()
                self.out.append("s")
            self.out.append("b")

    def schema(self, schema: Any) -> None:
        fields = list(schema.fields.values())

        def ordered() -> None:
            self.named("collections", "OrderedDict")
            self.group(lambda: self.group(pairs, "l"))
            self.out.append("R")
            self.put()

        def pairs() -> None:
            for field in fields:
                self.group(lambda f=field: (self.text(f.name), self.field(f)), "l")

        state = [("_name", lambda: self.text(schema._name)), ("_fields", ordered)]
        state += [(field.name, lambda f=field: self.field(f)) for field in fields]
        self.made("petastorm.unischema", "Unischema", state)

    def field(self, field: Any) -> None:
        self.once(f"field {field.name}", lambda: self._field(field))

    def _field(self, field: Any) -> None:
        def values() -> None:
            self.text(field.name)
            self.dtype(field.numpy_dtype)
            self.group(lambda: self.out.extend("N" if size is None else f"I{size}\n" for size in field.shape))
            self.codec(field.codec)
            self.value(bool(field.nullable))

        def restored() -> None:
            self.text("UnischemaField")
            self.group(lambda: [self.text(name) for name in NAMES_OF_A_FIELD])
            self.group(values)

        def reconstructed() -> None:
            self.named("petastorm.unischema", "UnischemaField")
            self.named("__builtin__", "tuple")
            self.group(values)

        self.named(*(("pyspark.serializers", "_restore") if self.restore else ("copy_reg", "_reconstructor")))
        self.group(restored if self.restore else reconstructed)
        self.out.append("R")

    def dtype(self, dtype: Any) -> None:
        if dtype is Decimal:
            self.named("decimal", "Decimal")
        else:
            self.named("numpy", NAMES_OF_THEN.get(dtype.__name__, dtype.__name__))

    def codec(self, codec: Any) -> None:
        if codec is None:
            self.out.append("N")
        else:
            self.made("petastorm.codecs", type(codec).__name__, self.state(codec))

    def state(self, value: Any) -> list[tuple[str, Callable[[], None]]]:
        return [(name, lambda v=one: self.value(v)) for name, one in vars(value).items()]

    def value(self, value: Any) -> None:
        if isinstance(value, bool):
            self.out.append("I01\n" if value else "I00\n")
        elif isinstance(value, int):
            self.out.append(f"I{value}\n")
        elif isinstance(value, str):
            self.text(value)
        else:
            self.made("pyspark.sql.types", type(value).__name__, self.state(value))
