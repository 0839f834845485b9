"""DuckDB reads Delta tables: through its own extension, or through delta-rs where that is missing."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.engines.table_files import data_files
from lakehouse.errors import TableError

logger = logging.getLogger(__name__)

READER_FEATURES = frozenset({"timestampNtz"})
"""Features a table of ours may ask of readers. Anything else could be read wrongly by `to_pyarrow_*`."""


def load_extension(connection: duckdb.DuckDBPyConnection) -> bool:
    """Load DuckDB's Delta extension, offline: from its wheel, else one installed before. Say whether it worked."""
    for candidate in (*_bundled(), "delta"):
        try:
            connection.execute(f"LOAD '{quote(str(candidate))}'")
        except duckdb.Error as error:
            logger.debug("delta extension not loaded from=%s reason=%s", candidate, error)
        else:
            return True
    return False


def define_view(
    connection: duckdb.DuckDBPyConnection, name: str, path: Path, version: int, *, extension: bool
) -> None:
    """Define view `name` (an SQL identifier, already quoted where needed) over a table at a version.

    Raises:
        TableError: If the table needs a reader feature that would be read wrongly.
    """
    if extension:
        source = f"delta_scan('{quote(str(path))}', version := {int(version)})"
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {source}")
        return
    define_arrow_view(connection, name, DeltaTable(path, version=version))


def define_arrow_view(connection: duckdb.DuckDBPyConnection, name: str, table: DeltaTable) -> None:
    """Define view `name` over an opened table, read through Arrow.

    Raises:
        TableError: As `define_view`.
    """
    guard(table)
    registered = "delta_" + "".join(c if c.isalnum() else "_" for c in name)
    connection.register(registered, _dataset(table))
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {registered}")


def _dataset(table: DeltaTable) -> Any:
    """Return the files of a table; `to_pyarrow_dataset` would skip some by bounds that it misreads."""
    if table.metadata().partition_columns:
        return table.to_pyarrow_dataset()
    # Not above: it imports pandas, a third of a second, and few tables are read so.
    import pyarrow.dataset as ds

    files = data_files(table)
    schema = pa.schema(table.schema().to_arrow())
    return ds.dataset(files, schema=schema, format="parquet") if files else ds.dataset(schema.empty_table())


def guard(table: DeltaTable) -> None:
    """Refuse a table that `to_pyarrow_*` would read wrongly.

    Raises:
        TableError: On legacy column mapping (renamed columns come back NULL) or an unknown reader feature.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ())
    if protocol.min_reader_version == 2 or features - READER_FEATURES:
        raise TableError(
            f"{table.table_uri}: needs reader version {protocol.min_reader_version} with features "
            f"{sorted(features)}; expected version 1 or {sorted(READER_FEATURES)}; "
            "install duckdb-extension-delta to read it, or rewrite the table without these features"
        )


def quote(text: str) -> str:
    """Double the single quotes of `text`, for use inside an SQL string literal."""
    return text.replace("'", "''")


def _bundled() -> list[Path]:
    spec = importlib.util.find_spec("duckdb_extension_delta")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return sorted(folder.glob("delta.duckdb_extension"))
