"""Read a dataset with the real Petastorm, in its own environment, and say every value and type as JSON.

    .bench/environments/petastorm/bin/python tests/petastorm/read_with_petastorm.py URL [--batch] [--fields a b]

Tests call `read_with_petastorm(url)`, which runs this file there, and compare with `described(row)` of what we read.
Without shuffling and without threads: its thread pool loses row groups.
"""

from __future__ import annotations

import argparse
import decimal
import json
import subprocess
import sys
import warnings

import numpy as np


def described(value):
    """Return a value with its type as something JSON can hold; equal for equal values of equal types."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return ["array", "object", list(value.shape), [described(item) for item in value.ravel()]]
        held = np.ascontiguousarray(value)
        data = held.astype("U").ravel().tolist() if held.dtype.kind == "U" else held.tobytes().hex()
        return ["array", "str" if held.dtype.kind == "U" else str(held.dtype), list(value.shape), data]
    if isinstance(value, np.generic):
        said = (bytes(value) if isinstance(value, bytes) else value.tobytes()).hex()
        kind = "bool_" if value.dtype.kind == "b" else type(value).__name__  # numpy 2 calls it bool
        return [kind, str(value) if isinstance(value, (str, np.datetime64)) else said]
    if isinstance(value, decimal.Decimal):
        return ["Decimal", str(value)]
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", bytes(value).hex()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [described(item) for item in value]]
    return [type(value).__name__, str(value)]


def described_row(row):
    """Return the fields of a namedtuple, or of a batch of them, described."""
    return {name: described(value) for name, value in row._asdict().items()}


def read_with_petastorm(url, *, batch=False, fields=None):
    """Return {"version", "schema": [[name, dtype, shape, codec, nullable] ...], "rows": [...], "warnings": [...]}.

    Skips the test where Petastorm's environment was not made (`python -m benchmarks.loaders set-up`).
    """
    from benchmarks.loaders.environments import python_of
    from tests.conftest import missing

    python = python_of("petastorm")
    if python is None:
        missing("no environment of Petastorm", required_by="PETREL_REQUIRE_PETASTORM")
    command = [str(python), __file__, url, *(["--batch"] if batch else []), *(["--fields", *fields] if fields else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"Petastorm cannot read {url}:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout)


def _read(url, *, batch, fields):
    import petastorm

    make = petastorm.make_batch_reader if batch else petastorm.make_reader
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with make(url, schema_fields=fields, reader_pool_type="dummy", shuffle_row_groups=False) as reader:
            schema = [
                [field.name, field.numpy_dtype.__name__, list(field.shape), str(field.codec), field.nullable]
                for field in reader.schema.fields.values()
            ]
            rows = [described_row(row) for row in reader]
    said = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return {"version": petastorm.__version__, "schema": schema, "rows": rows, "warnings": said}


def _main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--batch", action="store_true", help="make_batch_reader: one row for each row group")
    parser.add_argument("--fields", nargs="+")
    given = parser.parse_args()
    out = sys.stdout
    sys.stdout = sys.stderr  # it prints when a reader is left
    json.dump(_read(given.url, batch=given.batch, fields=given.fields), out)


if __name__ == "__main__":
    _main()
