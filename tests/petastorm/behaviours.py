"""What Petastorm's classes do besides giving rows: lifecycles, warnings, schemas, loaders, signatures.

Each behaviour is a function of a package, the folder of datasets and an empty folder; what it returns is compared.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import shutil
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from tests.petastorm.observing import NATURAL, Package, item_of, schema_of, text_of

Behaviour = Callable[[Package, Path, Path], Any]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(run: Behaviour) -> Behaviour:
    BEHAVIOURS[run.__name__] = run
    return run


def told(action: Callable[[], Any]) -> list[str]:
    """Return kind and beginning of the warnings of users of an action."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return sorted(
        {
            f"{one.category.__name__}: {str(one.message)[:60]}"
            for one in caught
            if one.category is UserWarning and "/petastorm/" in one.filename.replace("\\", "/")
        }
    )


def outcome(action: Callable[[], Any], length: int = 75) -> Any:
    """Return what an action gives, or class and beginning of the message of its error."""
    try:
        return action()
    except StopIteration:
        return "StopIteration"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:length]}"


def opened(package: Package, data: Path, dataset: str = "rowgroups", kind: str = "row", **options: Any) -> Any:
    make = package.top.make_reader if kind == "row" else package.top.make_batch_reader
    return make(f"file://{data}/{dataset}", **{**NATURAL, **options})


def ids(reader: Any) -> list[int]:
    return [int(value) for row in reader for value in np.ravel(row.id)]


# ------------------------------------------------------------------------------------------------ a reader's life


@behaviour
def attributes_of_a_reader(package: Package, data: Path, _: Path) -> Any:
    seen = []
    for kind in ("row", "batch"):
        with opened(package, data, kind=kind, num_epochs=2) as reader:
            seen.append(
                [
                    reader.batched_output,
                    reader.is_batched_reader,
                    reader.ngram,
                    reader.last_row_consumed,
                    reader.stopped,
                    reader.num_epochs,
                ]
            )
        seen.append(reader.stopped)
    return seen


@behaviour
def an_item_is_a_tuple_of_one_type(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data) as one, opened(package, data) as two:
        first, second = next(one), next(two)
        return [isinstance(first, tuple), type(first) is type(second), type(first).__name__, first._fields]


@behaviour
def an_iterator_is_the_reader_itself(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data) as reader:
        return [iter(reader) is reader, int(reader.next().id), int(next(reader).id), hasattr(reader, "__len__")]


@behaviour
def the_end_comes_once_and_again(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data, schema_fields=["id"]) as reader:
        before = reader.last_row_consumed
        rows = len(ids(reader))
        return [before, rows, reader.last_row_consumed, outcome(lambda: next(reader)), outcome(lambda: next(reader))]


@behaviour
def reset_after_the_end(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data, schema_fields=["id"], num_epochs=2) as reader:
        first = ids(reader)
        reader.reset()
        again = [reader.last_row_consumed]
        return [len(first), again, ids(reader) == first]


@behaviour
def epochs_without_end(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data, schema_fields=["id"], num_epochs=None) as reader:
        return [int(row.id) for row in itertools.islice(reader, 50)]


@behaviour
def natural_order_of_every_pool(package: Package, data: Path, _: Path) -> Any:
    # the real one's thread pool loses rows now and then, so that only its dummy pool is asked
    with opened(package, data, schema_fields=["id"]) as reader:
        return ids(reader)


@behaviour
def shuffled_row_groups_hold_all_rows(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data, schema_fields=["id"], shuffle_row_groups=True, seed=3) as reader:
        return sorted(ids(reader))


@behaviour
def shuffled_rows_hold_all_rows(package: Package, data: Path, _: Path) -> Any:
    with opened(package, data, schema_fields=["id"], shuffle_rows=True, seed=3) as reader:
        return sorted(ids(reader))


@behaviour
def a_trailing_slash_does_not_matter(package: Package, data: Path, _: Path) -> Any:
    with package.top.make_reader(f"file://{data}/rowgroups/", **NATURAL) as reader:
        return len(ids(reader))


@behaviour
def a_list_of_files(package: Package, data: Path, _: Path) -> Any:
    urls = [f"file://{data}/rowgroups/part-0000{part}.parquet" for part in (2, 0)]
    with package.top.make_batch_reader(urls, schema_fields=["id"], **NATURAL) as reader:
        return ids(reader)


@behaviour
def a_single_file(package: Package, data: Path, _: Path) -> Any:
    with package.top.make_batch_reader(
        f"file://{data}/rowgroups/part-00001.parquet", schema_fields=["id"], **NATURAL
    ) as reader:
        return ids(reader)


@behaviour
def a_shard_out_of_range(package: Package, data: Path, _: Path) -> Any:
    return outcome(lambda: told(lambda: opened(package, data, cur_shard=5, shard_count=2).stop()))


@behaviour
def a_disk_cache_gives_equal_rows(package: Package, data: Path, empty: Path) -> Any:
    read = []
    for _ in range(2):
        with opened(
            package,
            data,
            cache_type="local-disk",
            cache_location=str(empty),
            cache_size_limit=10**7,
            cache_row_size_estimate=100,
        ) as reader:
            read.append([item_of(row, flags=False) for row in reader])
    return [read[0] == read[1], len(read[0])]


@behaviour
def a_disk_cache_after_the_reader(package: Package, data: Path, empty: Path) -> Any:
    with opened(
        package,
        data,
        cache_type="local-disk",
        cache_location=str(empty),
        cache_size_limit=10**7,
        cache_row_size_estimate=100,
    ) as reader:
        next(reader)
    return empty.exists()


# ------------------------------------------------------------------------------------------------ folders


def _copied(data: Path, empty: Path) -> Path:
    return Path(shutil.copytree(data / "rowgroups", empty / "rowgroups"))


@behaviour
def a_file_added_later(package: Package, data: Path, empty: Path) -> Any:
    place = _copied(data, empty)
    shutil.copy(place / "part-00000.parquet", place / "part-00009.parquet")
    return outcome(lambda: ids(opened(package, empty, schema_fields=["id"])))


@behaviour
def a_file_that_went_missing(package: Package, data: Path, empty: Path) -> Any:
    (_copied(data, empty) / "part-00001.parquet").unlink()
    found = outcome(lambda: ids(opened(package, empty, schema_fields=["id"])))
    return found.split(":")[0] if isinstance(found, str) else found


@behaviour
def a_file_that_is_no_data(package: Package, data: Path, empty: Path) -> Any:
    (_copied(data, empty) / "manifest.json").write_text("{}")
    return outcome(lambda: ids(opened(package, empty, schema_fields=["id"])))


@behaviour
def hidden_files_and_folders(package: Package, data: Path, empty: Path) -> Any:
    place = _copied(data, empty)
    for name in ("_hidden", ".hidden"):
        (place / f"{name}.parquet").write_text("no Parquet")
        (place / name).mkdir()
        (place / name / "x.parquet").write_text("no Parquet")
    return outcome(lambda: len(ids(opened(package, empty, schema_fields=["id"]))))


# ------------------------------------------------------------------------------------------------ warnings


@behaviour
def warns_of_a_plain_store(package: Package, data: Path, _: Path) -> Any:
    return told(lambda: opened(package, data, "plain/evolving").stop())


@behaviour
def warns_of_a_petastorm_store_read_in_batches(package: Package, data: Path, _: Path) -> Any:
    return told(lambda: opened(package, data, kind="batch").stop())


@behaviour
def warns_of_deprecated_options(package: Package, data: Path, _: Path) -> Any:
    def both() -> None:
        with opened(package, data, cur_shard=0, shard_count=2, shard_seed=1):
            pass
        with opened(package, data, pyarrow_serialize=True, reader_pool_type="process", workers_count=1):
            pass

    return told(both)


@behaviour
def warns_of_patterns_that_matched_a_part(package: Package, data: Path, _: Path) -> Any:
    return told(lambda: opened(package, data, schema_fields=["i", "name"]).stop())


@behaviour
def warns_of_unknown_fields_of_a_transform(package: Package, data: Path, _: Path) -> Any:
    def both() -> None:
        schema = _schema(package)
        package.transform.transform_schema(schema, package.transform.TransformSpec(removed_fields=["q"]))
        package.transform.transform_schema(schema, package.transform.TransformSpec(selected_fields=["q", "id"]))

    return told(both)


# ------------------------------------------------------------------------------------------------ schemas


def _schema(package: Package) -> Any:
    from pyspark.sql import types as t

    u, c = package.unischema, package.codecs
    return u.Unischema(
        "S",
        [
            u.UnischemaField("id", np.int64, (), c.ScalarCodec(t.LongType()), False),
            u.UnischemaField("name", np.str_, (), c.ScalarCodec(t.StringType()), True),
            u.UnischemaField("price", Decimal, (), c.ScalarCodec(t.DecimalType(10, 2)), True),
            u.UnischemaField("small", np.uint8, (), None, True),
            u.UnischemaField("vec", np.float32, (2, None), c.NdarrayCodec(), True),
            u.UnischemaField("packed", np.int16, (2,), c.CompressedNdarrayCodec(), True),
            u.UnischemaField("image", np.uint8, (None, None, 3), c.CompressedImageCodec("jpeg", 70), True),
        ],
    )


@behaviour
def a_schema_as_text(package: Package, data: Path, _: Path) -> Any:
    return str(_schema(package))


@behaviour
def a_stored_schema(package: Package, data: Path, _: Path) -> Any:
    load = importlib.import_module(f"{package.name}.etl.dataset_metadata")
    return [schema_of(load.get_schema_from_dataset_url(f"file://{data}/{name}")) for name in ("ndarrays", "hive_two")]


@behaviour
def a_store_without_schema(package: Package, data: Path, _: Path) -> Any:
    load = importlib.import_module(f"{package.name}.etl.dataset_metadata")
    return [
        outcome(lambda name=name: load.get_schema_from_dataset_url(f"file://{data}/plain/{name}"), 45)
        for name in ("types", "foreign")
    ]


@behaviour
def views_of_a_schema(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package)
    views = [
        schema.create_schema_view(["i.*"]),
        schema.create_schema_view([schema.vec]),
        schema.create_schema_view(["id"]).create_schema_view(["id"]),
    ]
    found = [schema_of(view) for view in views]
    for view in found:
        view["fields"].sort()
    return found


@behaviour
def fields_are_equal_whatever_the_codec(package: Package, data: Path, _: Path) -> Any:
    field = package.unischema.UnischemaField
    one = field("x", np.float32, (2,), package.codecs.NdarrayCodec(), False)
    two = field("x", np.float32, (2,), None, False)
    return [
        one == two,
        hash(one) == hash(two),
        one == field("x", np.float32, (3,)),
        one == field("x", np.float64, (2,)),
        one == field("x", np.float32, (2,), None, True),
        len(two),
        field("y", np.int8, ())[3:],
    ]


@behaviour
def attributes_of_a_schema(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package)
    return [schema.id.name, list(schema.fields), outcome(lambda: schema.nothing, 30).split(":")[0]]


@behaviour
def namedtuples_of_a_schema(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package).create_schema_view(["id"])
    made = schema.make_namedtuple(id=5)
    return [type(made).__name__, made._fields, made.id, tuple(schema.make_namedtuple_tf(6))]


@behaviour
def a_schema_for_spark(package: Package, data: Path, _: Path) -> Any:
    return _schema(package).as_spark_schema().jsonValue()


@behaviour
def fields_by_pattern(package: Package, data: Path, _: Path) -> Any:
    match = package.unischema.match_unischema_fields
    schema = _schema(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            sorted(field.name for field in match(schema, patterns))
            for patterns in (["i.*"], [".*e"], [], None, ["i"], ["id", "id"])
        ]


@behaviour
def a_row_for_spark(package: Package, data: Path, _: Path) -> Any:
    row = {
        "id": np.int64(3),
        "name": "a",
        "price": Decimal("1.5"),
        "small": np.uint8(4),
        "vec": np.zeros((2, 1), np.float32),
        "packed": None,
    }
    made = package.unischema.dict_to_spark_row(_schema(package), row)
    return [
        type(made).__name__,
        list(made.__fields__),
        [text_of(bytes(value) if isinstance(value, bytearray) else value) for value in made],
        sorted(row),
    ]


@behaviour
def nulls_made_explicit(package: Package, data: Path, _: Path) -> Any:
    row: dict[str, Any] = {"id": 1, "name": "x"}
    package.unischema.insert_explicit_nulls(_schema(package), row)
    return row


@behaviour
def transformed_schemas(package: Package, data: Path, _: Path) -> Any:
    spec, change = package.transform.TransformSpec, package.transform.transform_schema
    schema = _schema(package).create_schema_view(["id"])
    edited = [("vec", np.float64, (3,), True), ("new", np.str_, (), False)]
    return [
        schema_of(change(schema, one))
        for one in (
            spec(),
            spec(edit_fields=edited),
            spec(edit_fields=edited, removed_fields=["id"]),
            spec(edit_fields=edited, selected_fields=["new", "id"]),
        )
    ]


# ------------------------------------------------------------------------------------------------ codecs


@behaviour
def encoded_scalars(package: Package, data: Path, _: Path) -> Any:
    from pyspark.sql import types as t

    given = [
        (t.ByteType(), np.int8(1)),
        (t.LongType(), True),
        (t.IntegerType(), 1.9),
        (t.FloatType(), 1),
        (t.DoubleType(), np.float32(0.1)),
        (t.BooleanType(), 3),
        (t.StringType(), np.str_("a")),
        (t.DecimalType(5, 1), Decimal("1.5")),
        (t.LongType(), np.array(7)),
    ]
    field = package.unischema.UnischemaField("x", np.int64, ())
    return [text_of(package.codecs.ScalarCodec(kind).encode(field, value)) for kind, value in given]


@behaviour
def decoded_scalars(package: Package, data: Path, _: Path) -> Any:
    from pyspark.sql import types as t

    field, codec = package.unischema.UnischemaField, package.codecs.ScalarCodec(t.LongType())
    given = [(np.int8, 5), (np.float16, 5), (np.str_, 5), (np.bool_, 1), (Decimal, "1.50"), (np.int64, "12")]
    return [text_of(codec.decode(field("x", dtype, ()), value)) for dtype, value in given]


@behaviour
def encoded_arrays(package: Package, data: Path, _: Path) -> Any:
    field = package.unischema.UnischemaField
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    made = package.codecs.NdarrayCodec().encode(field("x", np.float32, (None, 3)), value)
    return [type(made).__name__, text_of(bytes(made))]


@behaviour
def decoded_arrays(package: Package, data: Path, _: Path) -> Any:
    seen = []
    for codec in (package.codecs.NdarrayCodec(), package.codecs.CompressedNdarrayCodec()):
        for value in (
            np.zeros((), np.int8),
            np.array(["a", "bc"]),
            np.asfortranarray(np.ones((2, 3))),
            np.array([1, 2], ">i4"),
            np.zeros((0, 2), bool),
        ):
            field = package.unischema.UnischemaField("x", value.dtype.type, (None,) * value.ndim, codec)
            seen.append(text_of(codec.decode(field, codec.encode(field, value)), flags=True))
    return seen


@behaviour
def images_there_and_back(package: Package, data: Path, _: Path) -> Any:
    seen = []
    for dtype, shape in ((np.uint8, (4, 5)), (np.uint8, (4, 5, 3)), (np.uint16, (4, 5)), (np.uint16, (4, 5, 3))):
        codec = package.codecs.CompressedImageCodec("png")
        field = package.unischema.UnischemaField("x", dtype, shape, codec)
        value = (np.arange(np.prod(shape)) * 997).reshape(shape).astype(dtype)
        encoded = codec.encode(field, value)
        seen.append([type(encoded).__name__, text_of(codec.decode(field, encoded)) == text_of(value)])
    return [*seen, package.codecs.CompressedImageCodec("jpeg", 33).image_codec]


@behaviour
def codecs_as_text(package: Package, data: Path, _: Path) -> Any:
    from pyspark.sql import types as t

    c = package.codecs
    made = [
        c.ScalarCodec(t.LongType()),
        c.ScalarCodec(t.DecimalType(5, 1)),
        c.NdarrayCodec(),
        c.CompressedNdarrayCodec(),
        c.CompressedImageCodec(),
        c.CompressedImageCodec("jpeg", 3),
    ]
    return [[str(codec), codec.spark_dtype().simpleString()] for codec in made]


@behaviour
def rows_decoded_alone(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package)
    row = {
        "id": 5,
        "name": None,
        "price": "1.50",
        "small": 7,
        "other": 1,
        "vec": bytes(schema.vec.codec.encode(schema.vec, np.ones((2, 1), np.float32))),
    }
    return {name: text_of(value) for name, value in sorted(package.utils.decode_row(row, schema).items())}


# ------------------------------------------------------------------------------------------------ predicates and so on


@behaviour
def buckets_of_a_split(package: Package, data: Path, _: Path) -> Any:
    parts = [package.predicates.in_pseudorandom_split([0.3, 0.3, 0.2, 0.1], part, "key") for part in range(4)]
    keys: list[Any] = [
        *range(40),
        *(f"key{n}" for n in range(40)),
        "",
        "é",
        1.5,
        Decimal("1.50"),
        None,
        b"x",
        np.int64(7),
        np.str_("key1"),
    ]
    return ["".join(str(part) for part, split in enumerate(parts) if split.do_include({"key": key})) for key in keys]


@behaviour
def fields_of_predicates(package: Package, data: Path, _: Path) -> Any:
    p = package.predicates
    one, two = p.in_set([1], "a"), p.in_lambda(["b", "c"], lambda b, c: True)
    return [
        sorted(made.get_fields())
        for made in (
            one,
            two,
            p.in_negate(one),
            p.in_reduce([one, two], all),
            p.in_intersection([1], "d"),
            p.in_pseudorandom_split([1], 0, "e"),
        )
    ]


@behaviour
def names_of_selectors(package: Package, data: Path, _: Path) -> Any:
    s = package.selectors
    one, two = s.SingleIndexSelector("a", [1]), s.SingleIndexSelector("b", [1])
    return [
        list(made.get_index_names())
        for made in (one, s.IntersectIndexSelector([one, two]), s.UnionIndexSelector([one, two]))
    ]


@behaviour
def indexers_index(package: Package, data: Path, _: Path) -> Any:
    made = importlib.import_module(f"{package.name}.etl.rowgroup_indexers")
    one, other = made.SingleFieldIndexer("by_x", "x"), made.SingleFieldIndexer("by_x", "x")
    one.build_index([{"x": 1}, {"x": None}, {"x": np.array([2, 3])}], 0)
    other.build_index([{"x": 1}], 4)
    both = one + other
    there = made.FieldNotNullIndexer("there", "x")
    there.build_index([{"x": None}], 0)
    there.build_index([{"x": 1}], 2)
    return [
        both.index_name,
        both.column_names,
        sorted(map(int, both.indexed_values)),
        sorted(both.get_row_group_indexes(1)),
        sorted(both.get_row_group_indexes(9)),
        there.indexed_values,
        sorted(there.get_row_group_indexes()),
        outcome(lambda: one + there),
        outcome(lambda: one.build_index([], 1)),
    ]


@behaviour
def properties_of_an_ngram(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package)
    gram = package.ngram.NGram({-1: ["i.*"], 2: [schema.id, schema.vec]}, 5, "id")
    gram.resolve_regex_field_names(schema)
    names = [sorted(gram.get_field_names_at_timestep(step)) for step in (-1, 0, 2)]
    return [
        gram.length,
        gram.delta_threshold,
        gram.timestamp_overlap,
        names,
        sorted(field.name for field in gram.get_field_names_at_all_timesteps()),
        [list(gram.get_schema_at_timestep(schema, step).fields) for step in (0, 2)],
        gram == package.ngram.NGram({-1: [schema.id, schema.image], 2: [schema.vec, schema.id]}, 1, "id"),
    ]


@behaviour
def windows_formed_of_rows(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package)
    rows = [{"id": ts, "name": f"n{ts}"} for ts in (0, 3, 8, 10, 11, 20, 30)]
    seen = []
    for steps, threshold, overlap in (
        ({-1: ["id"], 0: ["id", "name"]}, 4, True),
        ({0: ["id"], 2: ["id"]}, 9, True),
        ({0: ["id"], 1: ["id"]}, 10, False),
        ({0: ["id"]}, 0, True),
    ):
        gram = package.ngram.NGram(steps, threshold, "id", overlap)
        gram.resolve_regex_field_names(schema)
        seen.append(
            [
                {str(step): dict(sorted(row.items())) for step, row in window.items()}
                for window in gram.form_ngram(data=[dict(row) for row in rows], schema=schema)
            ]
        )
    return seen


@behaviour
def a_generated_datapoint(package: Package, data: Path, _: Path) -> Any:
    schema = _schema(package).create_schema_view(["id", "small", "name", "vec", "packed", "image", "price"])
    made = package.generator.generate_datapoint(schema)
    return {
        name: [
            type(value).__name__.rstrip("_"),
            getattr(getattr(value, "dtype", None), "kind", None),
            getattr(value, "ndim", None),
        ]
        for name, value in sorted(made.items())
    }


@behaviour
def urls_and_paths(package: Package, data: Path, _: Path) -> Any:
    fs = package.fs_utils
    from urllib.parse import urlparse

    return [
        fs.normalize_dir_url("file:///a/b/"),
        fs.normalize_dir_url("file:///a//"),
        fs.get_dataset_path(urlparse("file:///a/b")),
        fs.get_dataset_path(urlparse("hdfs://host/a/b")),
        outcome(lambda: fs.FilesystemResolver("/a/b"), 32),
        fs.FilesystemResolver("file:///a/b").get_dataset_path(),
        fs.FilesystemResolver("file:///a/b").parsed_dataset_url().path,
        fs.get_filesystem_and_path_or_paths("file:///a/b")[1],
        fs.get_filesystem_and_path_or_paths(["file:///a/b", "file:///c"])[1],
    ]


@behaviour
def a_cache_fills_once(package: Package, data: Path, empty: Path) -> Any:
    cache = package.local_disk_cache.LocalDiskCache(str(empty), 10**7, 100)
    calls: list[int] = []

    def fill() -> dict[str, Any]:
        calls.append(1)
        return {"x": np.arange(3)}

    values = [text_of(cache.get("key", fill)["x"]) for _ in range(2)]
    cache.get("other", fill)
    null = [package.cache.NullCache().get("key", lambda: 5) for _ in range(2)]
    return [values, len(calls), null]


# ------------------------------------------------------------------------------------------------ torch


def _tensors(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {name: _tensors(value) for name, value in sorted(batch.items())}
    if type(batch).__name__ == "Tensor":
        return f"tensor {str(batch.dtype).removeprefix('torch.')} {text_of(batch.numpy())}"
    return text_of(batch)


def _batches(
    package: Package, data: Path, loader: str, dataset: str, fields: list[str], kind: str = "row", **options: Any
) -> Any:
    def run() -> Any:
        reader = opened(package, data, dataset, kind, schema_fields=fields)
        with getattr(package.pytorch, loader)(reader, **options) as batches:
            return [_tensors(batch) for batch in itertools.islice(batches, 3)]

    return outcome(run, 60)


NUMBERS = [
    "byte",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "uint8_in_short",
    "uint16_in_integer",
    "uint32_in_long",
]


@behaviour
def loader_of_rows(package: Package, data: Path, _: Path) -> Any:
    return [
        _batches(package, data, "DataLoader", "scalars", NUMBERS, batch_size=3),
        _batches(package, data, "DataLoader", "scalars", ["string", "decimal"], batch_size=2),
        _batches(package, data, "DataLoader", "rowgroups", ["id", "vec"], batch_size=10),
    ]


@behaviour
def loader_of_batches(package: Package, data: Path, _: Path) -> Any:
    return [
        _batches(
            package,
            data,
            "DataLoader",
            "plain/types",
            ["int8", "int64", "float32", "bool", "list_int32"],
            "batch",
            batch_size=3,
        )
    ]


@behaviour
def loader_of_what_torch_cannot_hold(package: Package, data: Path, _: Path) -> Any:
    return [
        _batches(package, data, "DataLoader", "rowgroups", ["maybe"], batch_size=3),
        _batches(package, data, "DataLoader", "rowgroups", ["tags"], batch_size=3),
        _batches(package, data, "DataLoader", "scalars", ["date"], batch_size=3).split(":")[0],
        _batches(package, data, "DataLoader", "scalars", ["uint64_in_long"], batch_size=3),
    ]


@behaviour
def batched_loader(package: Package, data: Path, _: Path) -> Any:
    return [
        _batches(
            package,
            data,
            "BatchedDataLoader",
            "plain/types",
            ["int8", "int64", "float32", "list_int32"],
            "batch",
            batch_size=3,
        ),
        _batches(package, data, "BatchedDataLoader", "plain/types", ["bool"], "batch", batch_size=2),
        _batches(package, data, "BatchedDataLoader", "rowgroups", ["id"], "batch", batch_size=10),
        str(_batches(package, data, "BatchedDataLoader", "plain/types", ["string"], "batch", batch_size=2)).split(":")[
            0
        ],
    ]


@behaviour
def loader_in_memory(package: Package, data: Path, _: Path) -> Any:
    seen = [
        _batches(
            package,
            data,
            "InMemBatchedDataLoader",
            "rowgroups",
            ["id"],
            "batch",
            batch_size=10,
            num_epochs=1,
            rows_capacity=24,
            shuffle=shuffle,
            seed=5,
        )
        for shuffle in (False, True)
    ]
    return [
        *seen,
        _batches(package, data, "InMemBatchedDataLoader", "rowgroups", ["id"], "batch", batch_size=10, rows_capacity=7),
    ]


@behaviour
def loaders_iterated_again(package: Package, data: Path, _: Path) -> Any:
    def twice(loader: str, kind: str, **options: Any) -> Any:
        reader = opened(package, data, "rowgroups", kind, schema_fields=["id"])
        with getattr(package.pytorch, loader)(reader, batch_size=8, **options) as batches:
            first = len(list(batches))
            return [first, outcome(lambda: len(list(batches)))]

    def two_at_once() -> Any:
        with package.pytorch.DataLoader(opened(package, data, schema_fields=["id"]), batch_size=8) as batches:
            next(iter(batches))
            return outcome(lambda: next(iter(batches)) is not None)

    return [
        twice("DataLoader", "row"),
        twice("BatchedDataLoader", "batch"),
        twice("InMemBatchedDataLoader", "batch", rows_capacity=24),
        two_at_once(),
    ]


@behaviour
def loader_after_an_error(package: Package, data: Path, _: Path) -> Any:
    with package.pytorch.DataLoader(opened(package, data, schema_fields=["maybe"]), batch_size=3) as batches:
        return [outcome(lambda: len(list(batches)), 40), outcome(lambda: len(list(batches)), 60)]


@behaviour
def collated_decimals(package: Package, data: Path, _: Path) -> Any:
    collate = package.pytorch.decimal_friendly_collate
    return [
        _tensors(collate([{"a": 1, "d": Decimal("1.5")}, {"a": 2, "d": Decimal(2)}])),
        _tensors(collate([Decimal(1)])),
        outcome(lambda: text_of(collate([{"t": (1, Decimal(2))}])["t"][1])),
    ]


# ------------------------------------------------------------------------------------------------ signatures


SIGNATURES = {
    "": ["make_reader", "make_batch_reader", "TransformSpec"],
    "reader": ["Reader"],
    "unischema": [
        "UnischemaField",
        "Unischema",
        "dict_to_spark_row",
        "insert_explicit_nulls",
        "match_unischema_fields",
    ],
    "codecs": ["ScalarCodec", "NdarrayCodec", "CompressedNdarrayCodec", "CompressedImageCodec"],
    "etl.dataset_metadata": [
        "materialize_dataset",
        "get_schema",
        "get_schema_from_dataset_url",
        "infer_or_load_unischema",
        "load_row_groups",
    ],
    "etl.petastorm_generate_metadata": ["generate_petastorm_metadata"],
    "etl.rowgroup_indexing": ["build_rowgroup_index", "get_row_group_indexes"],
    "etl.rowgroup_indexers": ["SingleFieldIndexer", "FieldNotNullIndexer"],
    "selectors": ["SingleIndexSelector", "IntersectIndexSelector", "UnionIndexSelector"],
    "predicates": ["in_set", "in_intersection", "in_lambda", "in_negate", "in_reduce", "in_pseudorandom_split"],
    "transform": ["edit_field", "transform_schema"],
    "ngram": ["NGram"],
    "weighted_sampling_reader": ["WeightedSamplingReader"],
    "pytorch": ["DataLoader", "BatchedDataLoader", "InMemBatchedDataLoader", "decimal_friendly_collate"],
    "spark": ["make_spark_converter", "SparkDatasetConverter"],
    "spark_utils": ["dataset_as_rdd"],
    "local_disk_cache": ["LocalDiskCache"],
    "fs_utils": ["FilesystemResolver", "get_filesystem_and_path_or_paths", "normalize_dir_url", "get_dataset_path"],
    "utils": ["decode_row", "run_in_subprocess", "add_to_dataset_metadata"],
    "generator": ["generate_datapoint"],
    "test_util.reader_mock": ["ReaderMock"],
    "tools.copy_dataset": ["copy_dataset"],
}

METHODS = {
    "reader Reader": ["reset", "stop", "join", "cleanup_cache", "next"],
    "unischema Unischema": [
        "create_schema_view",
        "as_spark_schema",
        "make_namedtuple",
        "make_namedtuple_tf",
        "from_arrow_schema",
    ],
    "ngram NGram": [
        "form_ngram",
        "resolve_regex_field_names",
        "get_field_names_at_timestep",
        "get_schema_at_timestep",
        "get_field_names_at_all_timesteps",
        "convert_fields",
    ],
    "spark SparkDatasetConverter": ["make_tf_dataset", "make_torch_dataloader", "delete"],
    "local_disk_cache LocalDiskCache": ["get", "cleanup"],
}


@behaviour
def signatures(package: Package, data: Path, _: Path) -> Any:
    def of(made: Any) -> Any:
        return outcome(
            lambda: [
                [one.name, "" if one.default is one.empty else getattr(one.default, "__name__", repr(one.default))]
                for one in inspect.signature(made).parameters.values()
            ]
        )

    found = {}
    for module, names in SIGNATURES.items():
        for name in names:
            home = f"{package.name}.{module}".rstrip(".")
            found[f"{module} {name}".strip()] = of(
                outcome(lambda h=home, n=name: getattr(importlib.import_module(h), n))
            )
    for place, methods in METHODS.items():
        module, name = place.split()
        for method in methods:
            made = getattr(importlib.import_module(f"{package.name}.{module}"), name)
            found[f"{place}.{method}"] = of(getattr(made, method, None))
    return found
