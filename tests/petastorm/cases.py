"""The ways of reading that are compared with the real Petastorm, and the bad input whose errors are.

It runs in both environments; `Package` stands for `petastorm` or for what is put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from tests.petastorm.observing import NATURAL, Case, Package

STORES = ("scalars", "ndarrays", "images", "nocodec", "rowgroups", "summary", "hive_text", "hive_int", "hive_two")
PICKLES = tuple(f"protocols/{protocol}" for protocol in range(6))
OLD = ("old/python2", "old/renamed_experimental", "old/renamed_ml", "old/restore")
PLAIN = ("plain/evolving", "plain/empty_parts", "plain/foreign", "plain/hive", "plain/loose_ends")

PLAIN_COLUMNS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"),
    *("string", "large_string", "binary", "large_binary", "fixed_binary", "date32", "time32", "time64"),
    *("timestamp_ms", "timestamp_us", "timestamp_ns", "timestamp_utc", "timestamp_berlin", "decimal128", "decimal256"),
    *("list_int32", "list_float32", "list_string", "fixed_size_list", "large_list", "list_list", "list_struct"),
    *("struct", "map", "dictionary_string", "dictionary_int", "duration"),
    *("list_ragged", "list_null_list", "list_null_element", "list_empty"),
)
PLAIN_NULLS = tuple(f"{name}_null" for name in PLAIN_COLUMNS[:-4] if name != "fixed_size_list")


# ------------------------------------------------------------------------------------------------ reading


def cases() -> Iterator[Case]:
    """Yield every case, in the order of the datasets."""
    yield Case("scalars", "all_but_null_times", "row", {"schema_fields": ["(?!timestamp_or_null).*"]}, order=False)
    for dataset in STORES:
        yield Case(dataset, "all", "row")
        yield Case(dataset, "all", "batch")
    for dataset in PICKLES + OLD:
        yield Case(dataset, "all", "row")
    for dataset in PLAIN:
        yield Case(dataset, "all", "row")
        yield Case(dataset, "all", "batch")
    for column in PLAIN_COLUMNS + PLAIN_NULLS:
        yield Case("plain/types", column, "row", {"schema_fields": [column]})
        yield Case("plain/types", column, "batch", {"schema_fields": [column]})
    yield from _fields()
    yield from _predicates()
    yield from _row_groups()
    yield from _transforms()
    yield from _windows()


def _fields() -> Iterator[Case]:
    def given(codec_of_another: bool) -> Callable[[Package], dict[str, Any]]:
        def options(package: Package) -> dict[str, Any]:
            codec = package.codecs.CompressedNdarrayCodec() if codec_of_another else package.codecs.NdarrayCodec()
            field = package.unischema.UnischemaField("vec", np.float32, (2,), codec, False)
            other = package.unischema.UnischemaField("id", np.int64, (), None, False)
            return {"schema_fields": [field, other]}

        return options

    for kind in ("row", "batch"):
        yield Case("rowgroups", "one_name", kind, {"schema_fields": ["id"]})
        yield Case("rowgroups", "names", kind, {"schema_fields": ["vec", "id", "name"]}, order=False)
        yield Case("rowgroups", "patterns", kind, {"schema_fields": ["t.*", "[in].*"]}, order=False)
        yield Case("rowgroups", "no_list_is_all", kind, {"schema_fields": []})
        yield Case("rowgroups", "no_match", kind, {"schema_fields": ["nothing.*"]})
        yield Case("rowgroups", "part_of_a_name", kind, {"schema_fields": ["i", "name"]})
        yield Case("rowgroups", "field_objects", kind, given(codec_of_another=False))
        yield Case("rowgroups", "stored_codec_wins", kind, given(codec_of_another=True))


def _predicates() -> Iterator[Case]:
    def one(kind: str, name: str, make: Callable[[Any], Any], dataset: str, more: dict[str, Any]) -> Case:
        fields = {"schema_fields": ["id", "name", "tags", "vec", "maybe"]} if dataset == "rowgroups" else {}
        return Case(
            dataset, name, kind, lambda package: {"predicate": make(package.predicates), **fields, **more}, order=False
        )

    def row(name: str, make: Callable[[Any], Any], dataset: str = "rowgroups", **more: Any) -> Case:
        return one("row", name, make, dataset, more)

    def batch(name: str, make: Callable[[Any], Any], dataset: str = "rowgroups", **more: Any) -> Case:
        return one("batch", name, make, dataset, more)

    few = {"schema_fields": ["id", "name"]}
    yield row("in_set", lambda p: p.in_set({1, 5, 6, 23}, "id"))
    yield row("in_set_of_names", lambda p: p.in_set(["name2", "none such"], "name"))
    yield row("in_set_matches_nothing", lambda p: p.in_set({-1}, "id"))
    yield row("in_intersection", lambda p: p.in_intersection(["t1", "t7"], "tags"))
    yield row("in_lambda", lambda p: p.in_lambda(["id"], lambda id: id % 5 == 0))
    yield row("in_lambda_of_two", lambda p: p.in_lambda(["id", "vec"], lambda id, vec: id % 2 == 0 and vec[1] > 8))
    yield row("in_lambda_with_state", lambda p: p.in_lambda(["id"], lambda id, state: id in state, {2, 3}))
    yield row("in_negate", lambda p: p.in_negate(p.in_set(range(20), "id")))
    yield row("in_reduce_all", lambda p: p.in_reduce([p.in_set(range(9), "id"), p.in_set({"name1"}, "name")], all))
    yield row("in_reduce_any", lambda p: p.in_reduce([p.in_set({3}, "id"), p.in_set({"name1"}, "name")], any))
    for subset in range(3):
        yield row(f"split_by_id_{subset}", lambda p, s=subset: p.in_pseudorandom_split([0.4, 0.3, 0.3], s, "id"), **few)
        yield row(
            f"split_by_name_{subset}", lambda p, s=subset: p.in_pseudorandom_split([0.5, 0.25, 0.25], s, "name"), **few
        )
    yield row("predicate_of_a_nullable", lambda p: p.in_lambda(["maybe"], lambda maybe: maybe is None))
    yield row("predicate_and_fields", lambda p: p.in_set({"name1"}, "name"), schema_fields=["id", "name"])
    yield row("predicate_and_shard", lambda p: p.in_set({"name1"}, "name"), cur_shard=1, shard_count=2)
    yield row("predicate_and_drop", lambda p: p.in_set({"name1"}, "name"), shuffle_row_drop_partitions=2)
    yield row("predicate_of_a_partition", lambda p: p.in_set({"b c"}, "part"), "hive_text")
    yield row("predicate_of_an_int_partition", lambda p: p.in_set({7}, "year"), "hive_int")
    yield row(
        "predicate_of_two_partitions",
        lambda p: p.in_lambda(["year", "kind"], lambda year, kind: year == 7 and kind == "x"),
        "hive_two",
    )
    yield row(
        "predicate_of_partition_and_column",
        lambda p: p.in_lambda(["year", "id"], lambda year, id: year == 7 and id > 1),
        "hive_int",
    )
    yield batch("in_lambda", lambda p: p.in_lambda(["id"], lambda id: id % 5 == 0))
    yield batch(
        "in_lambda_of_two", lambda p: p.in_lambda(["id", "name"], lambda id, name: (id > 6) & (name == "name1"))
    )
    yield batch("predicate_matches_nothing", lambda p: p.in_lambda(["id"], lambda id: id < 0))
    yield batch("in_set", lambda p: p.in_set({1}, "id"))
    yield batch("predicate_of_an_int_partition", lambda p: p.in_set({7}, "year"), "hive_int")


def _row_groups() -> Iterator[Case]:
    def selector(name: str, make: Callable[[Any], Any], **more: Any) -> Case:
        return Case(
            "rowgroups",
            name,
            "row",
            lambda package: {"rowgroup_selector": make(package.selectors), "schema_fields": ["id"], **more},
        )

    for shards in (2, 3):
        for shard in range(shards):
            given = {"cur_shard": shard, "shard_count": shards, "schema_fields": ["id"]}
            yield Case("rowgroups", f"shard_{shard}_of_{shards}", "row", given)
            yield Case("rowgroups", f"shard_{shard}_of_{shards}", "batch", given)
    yield Case(
        "rowgroups", "as_many_shards_as_groups", "row", {"cur_shard": 8, "shard_count": 9, "schema_fields": ["id"]}
    )
    yield Case("rowgroups", "too_many_shards", "row", {"cur_shard": 0, "shard_count": 10})
    yield Case(
        "rowgroups", "shard_with_seed", "row", {"cur_shard": 0, "shard_count": 2, "seed": 5, "schema_fields": ["id"]}
    )
    for parts in (2, 3, 9):
        given = {"shuffle_row_drop_partitions": parts, "schema_fields": ["id"]}
        yield Case("rowgroups", f"drop_partitions_{parts}", "row", given)
        yield Case("rowgroups", f"drop_partitions_{parts}", "batch", given)
        yield Case("summary", f"drop_partitions_{parts}", "row", given)
    yield Case("rowgroups", "two_epochs", "row", {"num_epochs": 2, "schema_fields": ["id"]})
    yield Case("rowgroups", "two_epochs", "batch", {"num_epochs": 2, "schema_fields": ["id"]})
    yield Case(
        "rowgroups",
        "early_numpy",
        "batch",
        {"convert_early_to_numpy": True, "schema_fields": ["id", "name"]},
        order=False,
    )
    yield selector("select_one", lambda s: s.SingleIndexSelector("by_id", [1, 22]))
    yield selector("select_unknown_value", lambda s: s.SingleIndexSelector("by_id", [-5]))
    yield selector("select_by_name", lambda s: s.SingleIndexSelector("by_name", ["name0"]))
    yield selector("select_by_element", lambda s: s.SingleIndexSelector("by_tags", ["t7"]))
    yield selector("select_not_null", lambda s: s.SingleIndexSelector("maybe_there", ["whatever"]))
    yield selector(
        "select_intersection",
        lambda s: s.IntersectIndexSelector(
            [s.SingleIndexSelector("by_id", [1, 9, 22]), s.SingleIndexSelector("by_name", ["name1"])]
        ),
    )
    yield selector(
        "select_union",
        lambda s: s.UnionIndexSelector([s.SingleIndexSelector("by_id", [1]), s.SingleIndexSelector("by_id", [23])]),
    )
    yield selector("select_and_shard", lambda s: s.SingleIndexSelector("by_id", [1, 5, 22]), cur_shard=0, shard_count=2)
    for kind in ("row", "batch"):
        yield Case("hive_int", "filters", kind, {"filters": [("year", "=", 7)]})
        yield Case(
            "hive_two", "filters", kind, {"filters": [[("year", "=", 7), ("kind", "=", "x")], [("year", "=", 8)]]}
        )
        yield Case("hive_int", "filters_of_a_column", kind, {"filters": [("id", ">", 1)]})


def _transforms() -> Iterator[Case]:
    def row(name: str, make: Callable[[Any], Any], **more: Any) -> Case:
        return Case(
            "rowgroups",
            f"transform_{name}",
            "row",
            lambda package: {"transform_spec": make(package.transform), "schema_fields": ["id", "vec"], **more},
            order=False,
        )

    def batch(name: str, make: Callable[[Any], Any], **more: Any) -> Case:
        return Case(
            "plain/types",
            f"transform_{name}",
            "batch",
            lambda package: {"transform_spec": make(package.transform), "schema_fields": ["int64", "float32"], **more},
            order=False,
        )

    def doubled(row: dict[str, Any]) -> dict[str, Any]:
        row["id"] = row["id"] * 2
        return row

    def summed(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "sum": float(row["vec"].sum())}

    def tripled(frame: Any) -> Any:
        frame["int64"] = frame["int64"] * 3
        return frame

    def matrix(frame: Any) -> Any:
        frame["matrix"] = frame["int64"].map(lambda value: np.full((2, 2), value, np.float32))
        return frame

    def vector(frame: Any) -> Any:
        frame["vector"] = frame["int64"].map(lambda value: np.full((2,), value, np.float32))
        return frame

    def text(frame: Any) -> Any:
        frame["text"] = frame["int64"].map(str)
        return frame

    def another(frame: Any) -> Any:
        frame["another"] = 1
        return frame

    yield row("func", lambda t: t.TransformSpec(doubled))
    yield row(
        "edit", lambda t: t.TransformSpec(summed, edit_fields=[("sum", np.float64, (), False)], removed_fields=["vec"])
    )
    yield row("edit_and_keep", lambda t: t.TransformSpec(doubled, edit_fields=[t.edit_field("id", np.int64, ())]))
    yield row("remove", lambda t: t.TransformSpec(removed_fields=["vec"]))
    yield row("select", lambda t: t.TransformSpec(lambda row: {"vec": row["vec"]}, selected_fields=["vec"]))
    yield row("select_alone", lambda t: t.TransformSpec(selected_fields=["vec"]))
    yield row("order", lambda t: t.TransformSpec(doubled, selected_fields=["vec", "id"]))
    yield row("wrong_keys", lambda t: t.TransformSpec(lambda row: {"id": row["id"]}))
    yield row("raises", lambda t: t.TransformSpec(lambda row: row["nothing"]))
    yield Case(
        "rowgroups",
        "transform_after_predicate",
        "row",
        lambda package: {
            "transform_spec": package.transform.TransformSpec(doubled),
            "schema_fields": ["id", "vec"],
            "predicate": package.predicates.in_set({3, 4}, "id"),
        },
        order=False,
    )
    yield batch("func", lambda t: t.TransformSpec(tripled))
    yield batch("matrix", lambda t: t.TransformSpec(matrix, edit_fields=[("matrix", np.float32, (2, 2), False)]))
    yield batch("vector", lambda t: t.TransformSpec(vector, edit_fields=[("vector", np.float32, (2,), False)]))
    yield batch("wrong_shape", lambda t: t.TransformSpec(matrix, edit_fields=[("matrix", np.float32, (2, 3), False)]))
    yield batch(
        "variable_shape", lambda t: t.TransformSpec(matrix, edit_fields=[("matrix", np.float32, (None, 2), False)])
    )
    yield batch("text", lambda t: t.TransformSpec(text, edit_fields=[("text", np.str_, (), False)]))
    yield batch("remove", lambda t: t.TransformSpec(removed_fields=["int64"]))
    yield batch("select", lambda t: t.TransformSpec(lambda frame: frame[["float32"]], selected_fields=["float32"]))
    yield batch("select_alone", lambda t: t.TransformSpec(selected_fields=["float32"]))
    yield batch("wrong_columns", lambda t: t.TransformSpec(another))
    yield Case(
        "plain/types",
        "transform_after_predicate",
        "batch",
        lambda package: {
            "transform_spec": package.transform.TransformSpec(tripled),
            "schema_fields": ["int64", "float32"],
            "predicate": package.predicates.in_lambda(["int64"], lambda int64: int64 > 0),
        },
        order=False,
    )
    yield Case(
        "plain/types",
        "transform_without_func_after_predicate",
        "batch",
        lambda package: {
            "transform_spec": package.transform.TransformSpec(removed_fields=["int64"]),
            "schema_fields": ["int64", "float32"],
            "predicate": package.predicates.in_lambda(["int64"], lambda int64: int64 > 0),
        },
        order=False,
    )


def _windows() -> Iterator[Case]:
    def window(
        name: str,
        steps: dict[int, list[str]],
        threshold: Any,
        ts: str = "ts",
        overlap: bool = True,
        kind: str = "row",
        **more: Any,
    ) -> Case:
        return Case(
            "rowgroups",
            f"ngram_{name}",
            kind,
            lambda package: {"schema_fields": package.ngram.NGram(steps, threshold, ts, overlap), **more},
            order=False,
        )

    pair = {0: ["id", "ts"], 1: ["id", "ts", "name"]}
    yield window("pair", pair, 100)
    yield window("threshold", pair, 10)
    yield window("threshold_below", pair, 9)
    yield window("gap", {-1: ["id", "ts"], 1: ["ts", "vec"]}, 100)
    yield window("patterns", {0: ["t.*"], 1: ["i.*", "ts"]}, 10)
    yield window("apart", {0: ["id", "ts"], 1: ["ts"], 2: ["ts"]}, 100, overlap=False)
    yield window("pairs_apart", pair, 10, overlap=False)
    yield window("drop_partitions", pair, 100, shuffle_row_drop_partitions=2)
    yield window("drop_partitions_of_three", {0: ["id", "ts"], 2: ["ts"]}, 100, shuffle_row_drop_partitions=2)
    yield window("apart_with_drop_partitions", pair, 100, overlap=False, shuffle_row_drop_partitions=2)
    yield window("shard", pair, 100, cur_shard=0, shard_count=2)
    yield window("longer_than_a_group", {0: ["id", "ts"], 6: ["ts"]}, 100)
    yield window("unsorted", {0: ["down"], 1: ["down"]}, 100, ts="down")
    yield window("of_batches", pair, 100, kind="batch")
    yield window("timestamp_not_asked_for", {0: ["id"], 1: ["name"]}, 100)
    yield Case(
        "rowgroups",
        "ngram_with_predicate",
        "row",
        lambda package: {
            "schema_fields": package.ngram.NGram(pair, 100, "ts"),
            "predicate": package.predicates.in_lambda(["id"], lambda id: id % 2 == 0),
        },
        order=False,
    )
    yield Case(
        "rowgroups",
        "ngram_with_transform",
        "row",
        lambda package: {
            "schema_fields": package.ngram.NGram(pair, 100, "ts"),
            "transform_spec": package.transform.TransformSpec(lambda row: {**row, "id": row["id"] * 2}),
        },
        order=False,
    )


# ------------------------------------------------------------------------------------------------ errors


@dataclass(frozen=True)
class Wrong:
    """Bad input: `make` is given the package, the folder of datasets and an empty folder; `begins` the message."""

    name: str
    error: str
    begins: str
    make: Callable[[Package, Path, Path], Any]

    @property
    def id(self) -> str:
        return self.name


def wrongs() -> Iterator[Wrong]:
    """Yield every bad input of the table of errors."""
    yield from _wrong_places()
    yield from _wrong_options()
    yield from _wrong_queries()
    yield from _wrong_values()


def _read(package: Package, data: Path, kind: str = "row", dataset: str = "rowgroups", **options: Any) -> None:
    make = package.top.make_reader if kind == "row" else package.top.make_batch_reader
    with make(f"file://{data}/{dataset}", **{**NATURAL, **options}) as reader:
        next(reader)


def _wrong_places() -> Iterator[Wrong]:
    def place(name: str, error: str, begins: str, url: Callable[[Path], Any], kind: str = "row") -> Wrong:
        def make(package: Package, data: Path, _: Path) -> None:
            opened = package.top.make_reader if kind == "row" else package.top.make_batch_reader
            opened(url(data), **NATURAL).stop()

        return Wrong(name, error, begins, make)

    yield place("url_none", "ValueError", "directory url must be a string", lambda data: None)
    yield place("url_int", "ValueError", "directory url must be a string", lambda data: 5)
    yield place("url_none_batch", "ValueError", "directory url must be a string", lambda data: None, "batch")
    yield place("urls_empty", "ValueError", "dataset url list must be non-empty.", lambda data: [], "batch")
    yield place(
        "urls_of_two_schemes",
        "ValueError",
        "The dataset url list must contain url with the same scheme and netloc.",
        lambda data: ["file:///a/b.parquet", "s3://a/b.parquet"],
        "batch",
    )
    yield place("missing_path", "OSError", "Passed non-file path: ", lambda data: f"file://{data}/no_such_dataset")


def _wrong_options() -> Iterator[Wrong]:
    def option(name: str, error: str, begins: str, kind: str = "row", /, **options: Any) -> Wrong:
        return Wrong(name, error, begins, lambda package, data, _: _read(package, data, kind, **options))

    yield option("pool", "ValueError", "Unknown reader_pool_type: x", reader_pool_type="x")
    yield option("cache_type", "ValueError", "Unknown cache_type: x", cache_type="x")
    yield Wrong(
        "cache_too_small",
        "ValueError",
        "Condition 'size_limit_bytes / shards < ",
        lambda package, data, empty: _read(
            package,
            data,
            cache_type="local-disk",
            cache_location=str(empty),
            cache_size_limit=100,
            cache_row_size_estimate=1000,
        ),
    )
    yield Wrong(
        "cache_arguments_missing",
        "TypeError",
        "",
        lambda package, data, empty: _read(package, data, cache_type="local-disk"),
    )
    yield Wrong(
        "cache_with_predicate",
        "RuntimeError",
        "Local cache is not supported together with predicates",
        lambda package, data, empty: _read(
            package, data, predicate=package.predicates.in_set({1}, "id"), **_cached(empty)
        ),
    )
    yield Wrong(
        "cache_with_drop_partitions",
        "RuntimeError",
        "Local cache is not supported together with shuffle_row_drop_partitions",
        lambda package, data, empty: _read(package, data, shuffle_row_drop_partitions=2, **_cached(empty)),
    )
    parts = "partition and num_partitions must be ints and both specified to use partitioning"
    yield option("shard_alone", "ValueError", parts, cur_shard=0)
    yield option("shards_alone", "ValueError", parts, shard_count=2)
    yield option("no_shards", "ValueError", parts, cur_shard=0, shard_count=0)
    yield option("shard_text", "ValueError", parts, cur_shard="0", shard_count="2")
    yield option("shard_of_numpy", "ValueError", parts, cur_shard=np.int64(0), shard_count=2)
    yield option(
        "too_many_shards",
        "NoDataAvailableError",
        "Number of row-groups in the dataset must be greater or equal",
        cur_shard=0,
        shard_count=10,
    )
    for name, value in {"zero": 0, "negative": -1, "text": "a", "float": 1.0}.items():
        yield option(f"epochs_{name}", "ValueError", "iterations must be positive integer or None", num_epochs=value)


def _wrong_queries() -> Iterator[Wrong]:
    def query(
        name: str,
        error: str,
        begins: str,
        options: Callable[[Package], dict[str, Any]],
        kind: str = "row",
        dataset: str = "rowgroups",
    ) -> Wrong:
        return Wrong(
            name, error, begins, lambda package, data, _: _read(package, data, kind, dataset, **options(package))
        )

    yield query("fields_int", "ValueError", "Fields must be either None, ", lambda p: {"schema_fields": 5})
    yield query("fields_of_ints", "ValueError", 'Elements of "fields" must be ', lambda p: {"schema_fields": [5]})
    yield query(
        "fields_no_match", "RuntimeError", "No fields matching the criteria ", lambda p: {"schema_fields": ["q"]}
    )
    yield query(
        "field_unknown",
        "ValueError",
        "field {'q'} does not belong to the schema ",
        lambda p: {"schema_fields": [p.unischema.UnischemaField("q", np.int64, ())]},
    )
    yield query(
        "predicate_of_no_kind",
        "ValueError",
        "predicate parameter is expected to be derived from PredicateBase",
        lambda p: {"predicate": lambda row: True},
    )
    yield query(
        "predicate_unknown_field",
        "ValueError",
        "At least some column names requested by the predicate (",
        lambda p: {"predicate": p.predicates.in_set({1}, "q")},
    )
    yield query(
        "predicate_no_field",
        "ValueError",
        "At least one field name must be returned by predicate's get_field() method",
        lambda p: {"predicate": p.predicates.in_lambda([], lambda: True)},
        dataset="hive_int",
    )
    yield query(
        "selector_of_no_kind",
        "ValueError",
        "rowgroup_selector parameter is expected ",
        lambda p: {"rowgroup_selector": 5},
    )
    yield query(
        "selector_unknown_index",
        "ValueError",
        "Some of required indexes ",
        lambda p: {"rowgroup_selector": p.selectors.SingleIndexSelector("no such", [1])},
    )
    yield query(
        "selector_without_index",
        "ValueError",
        "Row groups index is not available ",
        lambda p: {"rowgroup_selector": p.selectors.SingleIndexSelector("by_id", [1])},
        dataset="images",
    )
    yield query(
        "selector_without_metadata",
        "ValueError",
        "Could not find _metadata file",
        lambda p: {"rowgroup_selector": p.selectors.SingleIndexSelector("by_id", [1])},
        "batch",
        "plain/types",
    )
    yield query(
        "ngram_of_batches",
        "NotImplementedError",
        "",
        lambda p: {"schema_fields": p.ngram.NGram({0: ["id"]}, 1, "ts")},
        "batch",
    )
    yield query(
        "ngram_apart_with_drop",
        "NotImplementedError",
        "Using timestamp_overlap=False is not implemented",
        lambda p: {"schema_fields": p.ngram.NGram({0: ["ts"]}, 1, "ts", False), "shuffle_row_drop_partitions": 2},
    )
    yield query(
        "ngram_unsorted",
        "NotImplementedError",
        "NGram assumes that the data is sorted by ",
        lambda p: {"schema_fields": p.ngram.NGram({0: ["down"], 1: ["down"]}, 1, "down")},
    )
    yield Wrong("next_after_stop", "RuntimeError", "Trying to read a sample after a reader ", _read_after_stop)
    yield Wrong("reset_in_the_middle", "NotImplementedError", "", _reset_in_the_middle)


def _wrong_values() -> Iterator[Wrong]:
    def value(name: str, error: str, begins: str, make: Callable[[Package], Any]) -> Wrong:
        return Wrong(name, error, begins, lambda package, data, empty: make(package))

    def encode(codec: str, dtype: Any, shape: Any, given: Any, *arguments: Any) -> Callable[[Package], Any]:
        def run(package: Package) -> Any:
            made = getattr(package.codecs, codec)(*[one() if callable(one) else one for one in arguments])
            return made.encode(package.unischema.UnischemaField("x", dtype, shape, made, False), given)

        return run

    f32, two = np.float32, np.zeros(2, np.float32)
    for codec in ("NdarrayCodec", "CompressedNdarrayCodec"):
        yield value(f"{codec}_dtype", "ValueError", "Unexpected type of x feature", encode(codec, np.int64, (2,), two))
        yield value(f"{codec}_shape", "ValueError", "Unexpected dimensions of x feature", encode(codec, f32, (3,), two))
        yield value(
            f"{codec}_rank", "ValueError", "Unexpected dimensions of x feature", encode(codec, f32, (2, None), two)
        )
        yield value(f"{codec}_list", "ValueError", "Unexpected type of x feature", encode(codec, f32, (2,), [1.0, 2.0]))
    grey = np.zeros((2, 2), np.uint8)
    yield value(
        "image_dtype",
        "ValueError",
        "Unexpected type of x feature",
        encode("CompressedImageCodec", np.uint16, (2, 2), grey),
    )
    yield value(
        "image_shape",
        "ValueError",
        "Unexpected dimensions of x feature",
        encode("CompressedImageCodec", np.uint8, (2, 3), grey),
    )
    yield value(
        "image_channels",
        "ValueError",
        "Unexpected image dimensions.",
        encode("CompressedImageCodec", np.uint8, (2, 2, 4), np.zeros((2, 2, 4), np.uint8)),
    )
    yield value(
        "scalar_of_a_list",
        "TypeError",
        "Expected a scalar as a value for field 'x'.",
        encode("ScalarCodec", np.int64, (), [1], _spark("LongType")),
    )
    yield value(
        "scalar_of_an_array",
        "TypeError",
        "Expected a scalar as a value for field 'x'.",
        encode("ScalarCodec", np.int64, (), np.zeros(2, np.int64), _spark("LongType")),
    )
    yield value("scalar_with_a_shape", "ValueError", "", encode("ScalarCodec", np.int64, (2,), 1, _spark("LongType")))
    yield value(
        "text_of_an_int",
        "ValueError",
        "Expected a string value for field x.",
        encode("ScalarCodec", np.str_, (), 5, _spark("StringType")),
    )
    yield value("row_keys", "ValueError", "Dictionary fields ", lambda p: _spark_row(p, {"id": 1, "q": 2}))
    yield value(
        "row_missing",
        "ValueError",
        "Field id is not found in the row_dict, but is not nullable.",
        lambda p: _spark_row(p, {}),
    )
    yield value("row_null", "ValueError", "Field ", lambda p: _spark_row(p, {"id": None}))
    yield value(
        "view_of_unknown",
        "ValueError",
        "field {'q'} does not belong to the schema ",
        lambda p: _schema(p).create_schema_view([p.unischema.UnischemaField("q", np.int64, ())]),
    )
    yield value(
        "view_of_ints", "ValueError", 'Elements of "fields" must be ', lambda p: _schema(p).create_schema_view([5])
    )
    yield value(
        "transform_both",
        "ValueError",
        "User can only specify one of removed_fields and selected_fields",
        lambda p: p.transform.TransformSpec(removed_fields=["a"], selected_fields=["b"]),
    )
    yield value(
        "lambda_fields",
        "ValueError",
        "Predicate fields should be a list",
        lambda p: p.predicates.in_lambda("id", lambda id: True),
    )
    yield value(
        "negate_of_no_predicate",
        "ValueError",
        "Predicate is nor derived from PredicateBase",
        lambda p: p.predicates.in_negate(5),
    )
    yield value(
        "reduce_of_no_predicate",
        "ValueError",
        "Predicate is nor derived from PredicateBase",
        lambda p: p.predicates.in_reduce([5], all),
    )
    yield value(
        "split_subset",
        "ValueError",
        "subset_index is out of range",
        lambda p: p.predicates.in_pseudorandom_split([0.5, 0.5], 2, "id"),
    )
    yield value(
        "split_key",
        "ValueError",
        "Tested values does not have split key: id",
        lambda p: p.predicates.in_pseudorandom_split([0.5, 0.5], 0, "id").do_include({"q": 1}),
    )
    yield value(
        "intersection_scalar",
        "ValueError",
        "Predicate field should have iterable type",
        lambda p: p.predicates.in_intersection([1], "id").do_include({"id": 1}),
    )
    yield value(
        "ngram_fields_none",
        "ValueError",
        "Fields must be set and must be a dictionary.",
        lambda p: p.ngram.NGram(None, 1, "ts"),
    )
    yield value(
        "ngram_fields_text",
        "ValueError",
        "Each field value must be a list ",
        lambda p: p.ngram.NGram({0: "id"}, 1, "ts"),
    )
    yield value(
        "ngram_field_int",
        "ValueError",
        "All field values must be of type UnischemaField",
        lambda p: p.ngram.NGram({0: [1]}, 1, "ts"),
    )
    yield value(
        "ngram_threshold",
        "ValueError",
        "delta_threshold must be a number",
        lambda p: p.ngram.NGram({0: ["id"]}, None, "ts"),
    )
    yield value(
        "ngram_timestamp", "ValueError", "timestamp_field must be set ", lambda p: p.ngram.NGram({0: ["id"]}, 1, None)
    )
    yield value(
        "ngram_overlap",
        "ValueError",
        "timestamp_overlap must be set ",
        lambda p: p.ngram.NGram({0: ["id"]}, 1, "ts", None),
    )
    yield value(
        "decoding",
        "DecodeFieldError",
        'Decoding field "x" failed',
        lambda p: p.utils.decode_row(
            {"x": b"no npy"},
            p.unischema.Unischema("S", [p.unischema.UnischemaField("x", f32, (2,), p.codecs.NdarrayCodec(), False)]),
        ),
    )
    yield value(
        "decoding_decimal",
        "DecodeFieldError",
        'Decoding field "x" failed',
        lambda p: p.utils.decode_row(
            {"x": "no number"}, p.unischema.Unischema("S", [p.unischema.UnischemaField("x", Decimal, (), None, False)])
        ),
    )


def _cached(empty: Path) -> dict[str, Any]:
    return {
        "cache_type": "local-disk",
        "cache_location": str(empty),
        "cache_size_limit": 10**7,
        "cache_row_size_estimate": 100,
    }


def _read_after_stop(package: Package, data: Path, _: Path) -> None:
    with package.top.make_reader(f"file://{data}/rowgroups", **NATURAL) as reader:
        next(reader)
    next(reader)


def _reset_in_the_middle(package: Package, data: Path, _: Path) -> None:
    with package.top.make_reader(f"file://{data}/rowgroups", **NATURAL) as reader:
        next(reader)
        reader.reset()


def _spark(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from pyspark.sql import types

        return getattr(types, name)()

    return make


def _schema(package: Package) -> Any:
    field = package.unischema.UnischemaField(
        "id", np.int64, (), package.codecs.ScalarCodec(_spark("LongType")()), False
    )
    return package.unischema.Unischema("S", [field])


def _spark_row(package: Package, row: dict[str, Any]) -> Any:
    return package.unischema.dict_to_spark_row(_schema(package), row)
