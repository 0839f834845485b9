"""Stored schemas and indexes are read as data: good ones of every age, and of hostile ones nothing runs."""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from loaders.errors import FormatError
from loaders.petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from loaders.petastorm.etl.legacy import INDEX_NAMES, SCHEMA_NAMES, StoredIndex, read_indexes, read_unischema
from loaders.petastorm.etl.pickles import Limits, Record, UnsafePickleError, read_pickle
from loaders.petastorm.etl.stored_schema import unischema_bytes
from loaders.petastorm.spark_types import SparkType
from loaders.petastorm.unischema import Unischema, UnischemaField

DATA = Path(__file__).parent / "data"
UNISCHEMA_KEY = b"dataset-toolkit.unischema.v1"
INDEX_KEY = b"dataset-toolkit.rowgroups_index.v1"

# ------------------------------------------------------------------------------------------------- opcodes


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL, which takes any text."""
    return text(module) + text(name) + b"\x93"


def call(function: bytes, *args: bytes) -> bytes:
    return function + b"(" + b"".join(args) + b"tR"


def table(*pairs: bytes) -> bytes:
    return b"(" + b"".join(pairs) + b"d"


def number(value: int) -> bytes:
    return b"I%d\n" % value


UNISCHEMA = named("petastorm.unischema", "Unischema")
FIELD = named("petastorm.unischema", "UnischemaField")
ORDERED = named("collections", "OrderedDict")
RECONSTRUCTOR = named("copy_reg", "_reconstructor")
OBJECT, TUPLE = named("builtins", "object"), named("builtins", "tuple")
INT32 = named("numpy", "int32")
RUN = text("touch {mark}")
X, S = text("x"), text("S")


def new(cls: bytes) -> bytes:
    return call(RECONSTRUCTOR, cls, OBJECT, b"N")


def field(name=X, dtype=INT32, shape=b")", codec=b"N", nullable=b"\x89") -> bytes:
    return call(FIELD, name, dtype, shape, codec, nullable)


def schema(*fields: bytes, name=S, keys=None, mapping=ORDERED) -> bytes:
    keys = keys or [text("x")] * len(fields)
    pairs = b"".join(b"(" + key + each + b"l" for key, each in zip(keys, fields, strict=True))
    state = table(text("_name"), name, text("_fields"), call(mapping, b"(" + pairs + b"l"))
    return new(UNISCHEMA) + state + b"b"


def index(value: bytes, ordinals: bytes = b"]I0\na") -> bytes:
    data = call(named("collections", "defaultdict"), named("builtins", "set"))
    data += b"(" + value + call(named("builtins", "set"), ordinals) + b"u"
    state = table(text("_index_name"), text("i"), text("_column_name"), text("c"), text("_index_data"), data)
    return table(text("i"), new(named("petastorm.etl.rowgroup_indexers", "SingleFieldIndexer")) + state + b"b") + b"."


def scalar(dtype: str, raw: bytes, *, state: bytes = b"") -> bytes:
    made = call(named("numpy", "dtype"), text(dtype), number(0), number(1)) + state
    return call(named("numpy.core.multiarray", "scalar"), made, b"C" + bytes([len(raw)]) + raw)


# ------------------------------------------------------------------------------------------------- good ones

STORED = sorted(path.parent for path in DATA.glob("**/_common_metadata") if UNISCHEMA_KEY in (
    pq.read_schema(path).metadata or {}))  # fmt: skip


@pytest.mark.parametrize("folder", STORED, ids=lambda path: str(path.relative_to(DATA)))
def test_schemas_that_petastorm_wrote_are_read_and_written_again(folder):
    stored = pq.read_schema(folder / "_common_metadata").metadata[UNISCHEMA_KEY]
    found = read_unischema(stored)
    again = read_unischema(unischema_bytes(found))
    assert str(again) == str(found)
    assert again.fields == found.fields


def test_one_schema_is_the_same_in_every_protocol_and_from_every_package():
    kept = {name: read_unischema(pq.read_schema(DATA / name / "_common_metadata").metadata[UNISCHEMA_KEY])
            for name in (*(f"protocols/{protocol}" for protocol in range(6)), "old/python2", "old/restore",
                         "old/renamed_experimental", "old/renamed_ml")}  # fmt: skip
    wanted = kept["protocols/0"]
    assert all(list(each.fields.values()) == list(wanted.fields.values()) for each in kept.values())
    assert len({str(each).split("[", 1)[1] for each in kept.values()}) == 1


def _schema_that_names(module: str, name: str) -> bytes:
    key, symbol = (module, name), named(module, name)
    if name in ("Unischema", "_reconstructor", "object", "UnischemaField", "OrderedDict", "tuple", "_restore"):
        raw = schema(field())
        made = call(named("pyspark.serializers", "_restore"), text("UnischemaField"),
                    b"(" + b"".join(map(text, UnischemaField._fields)) + b"t", b"(" + text("x") + INT32 + b")N\x89t")
        raw = schema(made) if name == "_restore" else raw
        if name == "tuple":
            raw = schema(call(RECONSTRUCTOR, FIELD, TUPLE, b"(" + text("x") + INT32 + b")N\x89t"))
        for plain in (UNISCHEMA, FIELD, RECONSTRUCTOR, OBJECT, TUPLE):
            if plain.endswith(text(name) + b"\x93"):
                raw = raw.replace(plain, symbol)
    elif name.endswith("Codec"):
        state = {
            "ScalarCodec": table(text("_spark_type"), new(named("pyspark.sql.types", "LongType"))) + b"b",
            "CompressedImageCodec": table(text("_image_codec"), text(".png"), text("_quality"), number(80)) + b"b",
        }
        raw = schema(field(codec=new(symbol) + state.get(name, b"")))
    elif module == "pyspark.sql.types":
        state = table(text("precision"), number(9), text("scale"), number(2)) + b"b" if name == "DecimalType" else b""
        codec = new(named("petastorm.codecs", "ScalarCodec")) + table(text("_spark_type"), new(symbol) + state) + b"b"
        raw = schema(field(codec=codec))
    else:
        raw = schema(field(dtype=symbol))
    assert key in SCHEMA_NAMES
    assert text(name) in raw
    return raw + b"."


@pytest.mark.parametrize(("module", "name"), sorted(SCHEMA_NAMES), ids=".".join)
def test_every_name_that_schemas_use_is_read(module, name):
    assert list(read_unischema(_schema_that_names(module, name)).fields) == ["x"]


def test_a_schema_gets_codecs_of_ours():
    image = new(named("petastorm.codecs", "CompressedImageCodec"))
    image += table(text("_image_codec"), text(".jpeg"), text("_quality"), number(55)) + b"b"
    scalar_codec = new(named("petastorm.codecs", "ScalarCodec"))
    scalar_codec += table(text("_spark_type"), new(named("pyspark.sql.types", "ShortType"))) + b"b"
    array = new(named("av.ml.dataset_toolkit.codecs", "NdarrayCodec"))
    raw = schema(
        field(codec=image, dtype=named("numpy", "uint8"), shape=b"(NI4\nI3\nt"),
        field(name=text("y"), codec=scalar_codec),
        field(name=text("z"), codec=array, nullable=b"\x88", dtype=named("decimal", "Decimal")),
        keys=[text("x"), text("y"), text("z")],
    )
    x, y, z = read_unischema(raw + b".").fields.values()
    assert (x.numpy_dtype, x.shape, x.nullable, type(x.codec), str(x.codec)) == (
        np.uint8, (None, 4, 3), False, CompressedImageCodec, "CompressedImageCodec('jpeg', 55)"
    )  # fmt: skip
    assert (type(y.codec), y.codec.stored_type) == (ScalarCodec, SparkType("ShortType"))
    assert (type(z.codec), z.numpy_dtype, z.nullable) == (NdarrayCodec, Decimal, True)


def test_names_that_are_no_identifiers_survive_the_way_out_and_back():
    fields = [UnischemaField(name, np.int32, (), None, False) for name in ("a b", "é", "x\\u0041", "\n", "😀", "_name")]
    with pytest.warns(UserWarning, match="_name"):
        made = Unischema("S \\ é", fields)
    raw = unischema_bytes(made)
    assert raw.isascii()
    with pytest.warns(UserWarning, match="_name"):
        found = read_unischema(raw)
    assert (found._name, list(found.fields)) == ("S \\ é", [each.name for each in fields])


def test_indexes_that_petastorm_wrote_are_read():
    found = read_indexes(pq.read_schema(DATA / "rowgroups" / "_common_metadata").metadata[INDEX_KEY])
    assert found["by_id"] == StoredIndex(
        "SingleFieldIndexer", "by_id", "id", values={row: found["by_id"].values[row] for row in range(24)}
    )
    assert found["maybe_there"].class_name == "FieldNotNullIndexer"
    assert found["maybe_there"].ordinals == {1, 2, 4}


@pytest.mark.parametrize(("value", "wanted"), [
    (scalar("i8", struct.pack("<q", -5)), -5),
    (scalar("i8", struct.pack(">q", -5), state=b"(I3\n" + text(">") + b"NNNI-1\nI-1\nI0\ntb"), -5),
    (scalar("f4", struct.pack("<f", 0.5)), 0.5),
    (scalar("b1", b"\1"), True),
    (scalar("U2", "né".encode("utf-32-le")), "né"),
    (scalar("S3", b"abc"), b"abc"),
    (text("plain"), "plain"),
    (b"U\3abc", "abc"),  # Python 2's str
    (b"L12L\n", 12),
])  # fmt: skip
def test_values_of_an_index_become_pythons_own(value, wanted):
    values = read_indexes(index(value))["i"].values
    assert values == {wanted: {0}}
    assert type(next(iter(values))) is type(wanted)


# ------------------------------------------------------------------------------------------------- hostile ones

CALLED = """
    os.system posix.system nt.system os.execv os.popen pty.spawn builtins.eval builtins.exec builtins.__import__
    builtins.getattr builtins.compile builtins.open builtins.globals builtins.map builtins.type builtins.setattr
    __builtin__.eval __builtin__.execfile __builtin__.apply __builtin__.getattr subprocess.Popen
    subprocess.check_output commands.getoutput operator.attrgetter operator.methodcaller operator.itemgetter
    functools.partial functools.reduce importlib.import_module pkgutil.resolve_name runpy.run_path pydoc.locate
    marshal.loads types.FunctionType types.CodeType pickle.loads _pickle.loads dill.loads cloudpickle.loads
    pyspark.cloudpickle.loads pyspark.java_gateway.launch_gateway pyspark.serializers.CloudPickleSerializer
    numpy.load numpy.poly1d numpy.size numpy.__builtins__ numpy.testing._private.utils.runstring
    numpy.f2py.diagnose.run_command numpy.core._internal.sys numpy.object_ numpy.ndarray
    numpy.core.multiarray._reconstruct collections._itemgetter collections.__builtins__ collections.namedtuple
    collections.Counter copyreg.__newobj__ copyreg._extension_registry copy_reg.constructor
    decimal.getcontext petastorm.utils.run_in_subprocess petastorm.etl.legacy.restricted_loads
    petastorm.unischema.copy petastorm.codecs.cv2 petastorm.unischema.evil.Unischema petastorm.evil.Unischema
    petastormx.unischema.Unischema loaders.petastorm.unischema.Unischema numpyx.int32 torch.load ctypes.CDLL
    logging.config.fileConfig webbrowser.open timeit.timeit code.interact _codecs.encode zlib.decompress
""".split()

GETATTR = call(named("builtins", "getattr"), call(named("builtins", "__import__"), text("os")), text("system"))
TOUCH = call(named("os", "system"), RUN)
GRAPHS: dict[str, tuple[bytes, str]] = {
    # The proofs of uber/petastorm #741 and its kin, in our own opcodes.
    "741: import and getattr": (call(GETATTR, RUN) + b".", "builtins.getattr"),
    "741: eval": (call(named("builtins", "eval"), text("__import__('os').abort()")) + b".", "builtins.eval"),
    "741: exec": (call(named("builtins", "exec"), text("import os")) + b".", "builtins.exec"),
    "numpy builtins": (
        call(named("builtins", "dict.get"), named("numpy", "__builtins__"), text("exec")) + b".", "builtins.dict.get"),
    "attribute of an allowed name": (
        named("petastorm.unischema", "Unischema.__init__.__globals__") + b".", "Unischema.__init__.__globals__"),
    "dotted from above": (named("petastorm", "unischema.Unischema") + b".", "petastorm.unischema.Unischema"),
    "dotted to a module": (named("numpy", "core._internal.sys.modules") + b".", "sys.modules"),
    "inside a schema": (schema(field(), name=TOUCH) + b".", "os.system"),
    "inside the memo": (TOUCH + b"q\0" + schema(field()) + b".", "os.system"),
    "PUT beside MEMOIZE": (
        text("os") + b"q\0" + text("system") + b"q\1" + text("numpy") + b"\x94" + text("int32") + b"\x94"
        + b"h\0h\1\x93.", "os.system"),
    "PUT over PUT": (
        text("numpy") + b"q\0" + text("os") + b"q\0" + text("system") + b"q\1h\0h\1\x93.", "os.system"),
    "GET of what was not put": (b"h\7.", "BINGET"),
    "a name out of bytes": (b"C\2osC\6system\x93.", "STACK_GLOBAL"),
    "a name out of a number": (text("os") + number(1) + b"\x93.", "STACK_GLOBAL"),
    "a name out of a name": (INT32 + text("system") + b"\x93.", "numpy.int32"),
    "Cyrillic": (named("p\u0435tastorm.unischema", "Unischema") + b".", "p\\u0435tastorm"),
    "full width": (named("numpy", "int\uff13\uff12") + b".", "int\\uff13"),
    "a combining mark": (named("numpy", "int32\u0301") + b".", "int32\\u0301"),
    "right to left": (named("numpy", "\u202eint32") + b".", "\\u202eint32"),
    "a space": (named("numpy ", "int32") + b".", "numpy .int32"),
    "a space in GLOBAL": (b"cnumpy int32\nx\n.", "numpy.int32 x"),
    "a zero byte": (named("numpy", "int32\0") + b".", "int32\\x00"),
    "another case": (named("Numpy", "int32") + b".", "Numpy.int32"),
    "no name": (named("", "") + b".", "the name ."),
    # Opcodes.
    "INST": (b"(" + RUN + b"ios\nsystem\n.", "INST"),
    "INST of an allowed name": (b"(ipetastorm.unischema\nUnischema\n.", "INST"),
    "OBJ": (b"(" + named("petastorm.unischema", "Unischema") + b"o.", "OBJ"),
    "NEWOBJ": (named("os", "system") + b"(" + RUN + b"t\x81.", "os.system"),
    "NEWOBJ of a type": (INT32 + b")\x81.", "numpy.int32"),
    "NEWOBJ_EX": (UNISCHEMA + b")}\x92.", "NEWOBJ_EX"),
    "EXT1": (b"\x82\1.", "EXT1"),
    "EXT2": (b"\x83\1\0.", "EXT2"),
    "EXT4": (b"\x84\1\0\0\0.", "EXT4"),
    "PERSID": (b"Pos.system\n.", "PERSID"),
    "BINPERSID": (text("os.system") + b"Q.", "BINPERSID"),
    "NEXT_BUFFER": (b"\x97.", "NEXT_BUFFER"),
    "READONLY_BUFFER": (b"\x97\x98.", "NEXT_BUFFER"),
    "BYTEARRAY8": (b"\x96" + struct.pack("<Q", 1) + b"x.", "BYTEARRAY8"),
    "BINUNICODE8": (b"\x8d" + struct.pack("<Q", 1) + b"x.", "BINUNICODE8"),
    "BINBYTES8": (b"\x8e" + struct.pack("<Q", 1) + b"x.", "BINBYTES8"),
    "LONG4": (b"\x8b" + struct.pack("<i", 1) + b"x.", "LONG4"),
    "FROZENSET": (b"(\x91.", "FROZENSET"),
    "POP": (b"N0N.", "POP"),
    "DUP": (b"N2.", "DUP"),
    # Allowed names, used for something else.
    "a type is called": (call(INT32, number(1)) + b".", "numpy.int32"),
    "bytes is called": (call(named("builtins", "bytes"), number(1 << 40)) + b".", "builtins.bytes"),
    "Decimal is called": (call(named("decimal", "Decimal"), text("1e999999999")) + b".", "decimal.Decimal"),
    "object is called": (call(OBJECT) + b".", "builtins.object"),
    "a call of a record": (call(call(ORDERED), number(1)) + b".", "REDUCE"),
    "a call with a list": (ORDERED + b"]R.", "REDUCE"),
    "state of a class": (UNISCHEMA + table(text("__setstate__"), ORDERED) + b"b.", "petastorm.unischema.Unischema"),
    "state of a type": (INT32 + table(text("x"), text("y")) + b"b.", "numpy.int32"),
    "state of a list": (b"]" + table() + b"b.", "BUILD"),
    "state twice": (new(UNISCHEMA) + table() + b"b" + table() + b"b.", "copy_reg._reconstructor"),
    "state of a mapping": (call(ORDERED) + table() + b"b.", "collections.OrderedDict"),
    "items into a class": (UNISCHEMA + text("a") + text("b") + b"s.", "petastorm.unischema.Unischema"),
    "items into an instance": (new(UNISCHEMA) + text("a") + text("b") + b"s.", "copy_reg._reconstructor"),
    "append to an instance": (new(UNISCHEMA) + text("a") + b"a.", "APPEND"),
    "append to a class": (UNISCHEMA + text("a") + b"a.", "petastorm.unischema.Unischema"),
    "slots": (new(UNISCHEMA) + b"N" + table(text("_name"), text("x")) + b"\x86b.", "a tuple"),
    "reconstructed type": (call(RECONSTRUCTOR, INT32, OBJECT, b"N") + b".", "numpy.int32"),
    "reconstructed reconstructor": (call(RECONSTRUCTOR, RECONSTRUCTOR, OBJECT, b"N") + b".", "_reconstructor"),
    "reconstructed from bytes": (call(RECONSTRUCTOR, UNISCHEMA, TUPLE, b"N") + b".", "builtins.tuple"),
    "reconstructed with a state": (call(RECONSTRUCTOR, UNISCHEMA, OBJECT, text("x")) + b".", "_reconstructor"),
    "reconstructed from nothing": (call(RECONSTRUCTOR) + b".", "_reconstructor"),
    "restored class": (schema(call(named("pyspark.serializers", "_restore"), text("Evil"), b")", b")")) + b".", "Evil"),
    "restored names": (
        schema(call(named("pyspark.serializers", "_restore"), text("UnischemaField"), b"(" + text("a") * 5 + b"t",
                    b"(NNNNNt")) + b".", "_restore"),
    # Size and shape.
    "no pickle": (b"", "damaged"),
    "nothing but the end": (b".", "STOP"),
    "cut off": (schema(field())[:-20], "damaged"),
    "another pickle behind": (schema(field()) + b"." + TOUCH + b".", "STOP"),
    "two values": (b"NN.", "STOP"),
    "an open mark": (b"(N.", "STOP"),
    "protocol 6": (b"\x80\6N.", "PROTO"),
    "protocol 255": (b"\x80\xffN.", "PROTO"),
    "no such opcode": (b"\xff.", "damaged"),
    "an empty stack": (b"R.", "REDUCE"),
    "5 MB": (text("x" * (5 << 20)) + b".", "its size"),
    "text of 4 GB": (b"X\xff\xff\xff\xffabc.", "damaged"),
    "an integer of 100,000 digits": (b"L" + b"9" * 100_000 + b"L\n.", "damaged"),
    "a number that is none": (b"I__import__('os')\n.", "damaged"),
    "text with an escape": (b"S'\\x41'\nS'os\n.", "damaged"),
    "500,000 opcodes": (b"(" + b"N" * 500_000 + b"t.", "its length"),
    "1,000 marks": (b"(" * 1_000 + b"t" * 1_000 + b".", "its depth"),
    "1,000 tuples": (b")" + b"\x85" * 1_000 + b".", "its depth"),
    "a list in itself": (b"]q\0h\0a.", "its depth"),
    "a schema in itself": (new(UNISCHEMA) + b"q\0" + table(text("_fields"), b"h\0") + b"b.", "its depth"),
    "a billion laughs": (
        b"(]q\0" + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(9)) + b"l.", "a list"),
    # No schema.
    "text": (text("S") + b".", "a Unischema"),
    "a field alone": (field() + b".", "a Unischema"),
    "no state": (new(UNISCHEMA) + b".", "the name of a schema"),
    "fields in a list": (new(UNISCHEMA) + table(text("_name"), text("S"), text("_fields"), b"]") + b"b.", "the fields"),
    "fields from a number": (schema(mapping=ORDERED).replace(b"(l", number(1)) + b".", "fields"),
    "another key": (schema(field(), keys=[text("y")]) + b".", "'x'"),
    "one name twice": (schema(field(), field()) + b".", "two fields"),
    "four values": (schema(call(FIELD, text("x"), INT32, b")", b"N")) + b".", "4 values"),
    "a name of bytes": (schema(field(name=b"C\1x")) + b".", "the name of a field"),
    "a type that is none": (schema(field(dtype=OBJECT)) + b".", "builtins.object"),
    "a type out of text": (schema(field(dtype=text("int32"))) + b".", "the type of field"),
    "a class as type": (schema(field(dtype=UNISCHEMA)) + b".", "Unischema"),
    "a shape of -1": (schema(field(shape=b"(I-1\nt")) + b".", "the shape"),
    "a shape of 10**30": (schema(field(shape=b"(L1" + b"0" * 30 + b"L\nt")) + b".", "the shape"),
    "a shape of text": (schema(field(shape=b"(" + text("x") + b"t")) + b".", "the shape"),
    "a shape of 33 axes": (schema(field(shape=b"(" + b"N" * 33 + b"t")) + b".", "the shape"),
    "a shape of truth": (schema(field(shape=b"(\x88t")) + b".", "the shape"),
    "a codec that is a schema": (schema(field(codec=new(UNISCHEMA))) + b".", "the codec"),
    "a codec's class": (schema(field(codec=named("petastorm.codecs", "NdarrayCodec"))) + b".", "the codec"),
    "a codec of one's own": (schema(field(codec=new(named("petastorm.codecs", "MyCodec")))) + b".", "MyCodec"),
    "a picture's path": (
        schema(field(codec=new(named("petastorm.codecs", "CompressedImageCodec"))
                     + table(text("_image_codec"), text("./../x")) + b"b")) + b".", "./../x"),
    "a decimal of 10**9 digits": (
        schema(field(codec=new(named("petastorm.codecs", "ScalarCodec")) + table(
            text("_spark_type"), new(named("pyspark.sql.types", "DecimalType"))
            + table(text("precision"), number(10**9)) + b"b") + b"b")) + b".", "precision"),
    "perhaps null": (schema(field(nullable=text("maybe"))) + b".", "may be null"),
}  # fmt: skip
INDEXES: dict[str, tuple[bytes, str]] = {
    "a pickle in a scalar": (index(scalar("O", b"cos\nsystem\n(S'id'\ntR.")), "dtype"),
    "a void scalar": (index(scalar("V8", bytes(8))), "dtype"),
    "a long scalar": (index(scalar("i8", bytes(9))), "9 bytes"),
    "a scalar of 4 GB": (index(scalar("S999999999", b"x")), "1 bytes"),
    "a dtype with fields": (index(scalar("i8,i8", bytes(16))), "i8,i8"),
    "a dtype's state": (index(scalar("i8", bytes(8), state=b"(I3\n" + INT32 + b"tb")), "numpy.int32"),
    "a scalar of a record": (index(call(named("numpy.core.multiarray", "scalar"), b"]", b"C\0")), "dtype"),
    "an array": (index(call(named("numpy.core.multiarray", "_reconstruct"), b")")), "_reconstruct"),
    "a default of eval": (
        index(text("a")).replace(named("builtins", "set"), named("builtins", "eval")), "builtins.eval"),
    "a default of object": (
        index(text("a")).replace(named("builtins", "set") + b"tR(", OBJECT + b"tR("), "builtins.object"),
    "an ordinal of -1": (index(text("a"), b"]I-1\na"), "ordinals"),
    "an ordinal of text": (index(text("a"), b"]" + text("x") + b"a"), "ordinals"),
    "a set of text": (index(text("a"), text("abc")), "a set"),
    "a tuple as value": (index(b")"), "a value of a column"),
    "another encoding": (
        index(call(named("numpy.core.multiarray", "scalar"), call(named("numpy", "dtype"), text("i1")),
                   call(named("_codecs", "encode"), text("x"), text("rot13")))), "bytes"),
    "a schema's name": (UNISCHEMA + b".", "petastorm.unischema.Unischema"),
    "os.system": (TOUCH + b".", "os.system"),
}  # fmt: skip

_seen: list[str] | None = None


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _seen is not None and event != "builtins.id":
        _seen.append(event)


@contextmanager
def events() -> Iterator[list[str]]:
    """Give what Python's audit hook sees meanwhile."""
    global _seen
    if not hasattr(events, "is_installed"):
        sys.addaudithook(_hook)
        events.is_installed = True  # type: ignore[attr-defined]
    _seen = found = []
    try:
        yield found
    finally:
        _seen = None


def refuses(read, raw: bytes, mark: Path) -> FormatError:
    """Read a hostile pickle and return the error; nothing may have run."""
    raw = raw.replace(text("touch {mark}"), text(f"touch {mark}"))
    with pytest.raises(FormatError) as raised, events() as seen:
        read(raw)
    assert seen == []
    assert not mark.exists()
    assert len(str(raised.value)) < 500
    return raised.value


@pytest.mark.parametrize("name", CALLED)
def test_a_name_that_schemas_do_not_use_is_refused_and_not_looked_up(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    mark = tmp_path / "ran"
    for symbol in (named(module, attribute), f"c{module}\n{attribute}\n".encode()):
        if name == "_codecs.encode":  # indexes of Python 3 in old protocols name it
            continue
        for read in (read_unischema, read_indexes):
            error = refuses(read, call(symbol, RUN) + b".", mark)
            assert isinstance(error, UnsafePickleError)
            assert error.offender == name
            assert name in str(error)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_hostile_schema_is_refused_by_name_and_nothing_runs(tmp_path, name):
    raw, offender = GRAPHS[name]
    error = refuses(read_unischema, raw, tmp_path / "ran")
    assert offender in f"{error} {getattr(error, 'offender', '')}"


@pytest.mark.parametrize("name", INDEXES)
def test_a_hostile_index_is_refused_by_name_and_nothing_runs(tmp_path, name):
    raw, offender = INDEXES[name]
    assert offender in str(refuses(read_indexes, raw, tmp_path / "ran"))


def test_the_watch_sees_what_pickle_itself_would_do(tmp_path):
    raw = TOUCH.replace(text("touch {mark}"), text(f"touch {tmp_path / 'ran'}")) + b"."
    with events() as seen:
        pickle.loads(b"\x80\4" + raw)
    assert {"pickle.find_class", "os.system"} <= set(seen)
    assert (tmp_path / "ran").exists()


def test_enough_is_tried():
    assert len(CALLED) + len(GRAPHS) + len(INDEXES) >= 180
    assert not {name for name in SCHEMA_NAMES | INDEX_NAMES if ".".join(name) in CALLED} - {("_codecs", "encode")}


def test_limits_are_counted_exactly():
    names, limits = {("numpy", "int32")}, Limits(bytes=8, opcodes=5, depth=2)
    assert read_pickle(b"NNN\x87.", names=names, makers=(), limits=limits) == (None, None, None)
    for raw, what in ((b"NNNNN.", "its length"), (b"X\4\0\0\0abcd.", "its size"), (b")\x85\x85\x85.", "its depth")):
        with pytest.raises(UnsafePickleError) as raised:
            read_pickle(raw, names=names, makers=(), limits=limits)
        assert raised.value.offender == what


def test_records_remember_and_do_nothing():
    found = read_pickle(call(ORDERED, number(1)) + b".", names={("collections", "OrderedDict")},
                        makers={("collections", "OrderedDict")})  # fmt: skip
    assert isinstance(found, Record)
    assert (str(found.symbol), found.args, found.state, found.pairs) == ("collections.OrderedDict", (1,), None, [])


def test_a_set_that_stands_under_many_keys_is_not_copied_without_end():
    several = 3_000
    items = b"".join(b"J" + struct.pack("<i", each) for each in range(several))
    pairs = b"J" + struct.pack("<i", 0) + b"\x8f(" + items + b"\x90r" + struct.pack("<I", 7)  # the set, remembered
    pairs += b"".join(b"J" + struct.pack("<i", key) + b"j" + struct.pack("<I", 7) for key in range(1, several))
    state = text("_index_name") + text("i") + text("_column_name") + text("c") + text("_index_data")
    sets = b"ccollections\ndefaultdict\nc__builtin__\nset\n\x85R(" + pairs + b"u"
    indexer = b"cpetastorm.etl.rowgroup_indexers\nSingleFieldIndexer\n)\x81}(" + state + sets + b"ub"
    with pytest.raises(FormatError, match="more than 5,000,000 ordinals"):
        read_indexes(b"\x80\x04}" + text("i") + indexer + b"s.")
