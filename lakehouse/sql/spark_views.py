"""The tables and views of a lake in a Spark session, under the names that DuckDB has too."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakehouse.engines.called import define_all_in_spark
from lakehouse.engines.dialect import bind
from lakehouse.engines.spark_tables import far_address, read_table
from lakehouse.errors import one_line
from lakehouse.home import Root
from lakehouse.place import located
from lakehouse.tables.read import head, open_table
from lakehouse.verification.places import place_at
from lakehouse.verification.tables import verify_table
from lakehouse.views.registry import ordered_views
from lakehouse.views.saved import gated, saved_texts
from schemas.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)


def register_views(session: SparkSession, root: Root, *, pins: Mapping[str, int] | None = None) -> dict[str, str]:
    """Define temporary views over a lake: the same names that `lakehouse.sql.connect` gives in DuckDB.

    They show the lake as it is now; call again to see later commits.

    Args:
        session: A session with Delta, for example of `lakehouse.spark.session.build_session`.
        root: Folder or URL of the lake.
        pins: Table name -> Delta version; a table that is not pinned is read as it is now.

    Returns:
        Name in shared SQL -> name in this session. Views keep theirs (`entities_wide`); a temporary view has no
        schema, so that the table `silver.entities` is called `silver_entities`. Saved views that a session cannot
        have, of a commit or a policy, say, are left out, with a warning.

    Raises:
        TableNotFoundError: If there is no lake at `root`.
        VersionUnavailableError: If a pinned version does not exist.
    """
    home = located(root)
    names: dict[str, str] = {}
    for table in TABLES:
        version = head(home, table) if table.name not in (pins or {}) else (pins or {})[table.name]
        place, counted = place_at(home, table, version)
        verify_table(place, counted)
        open_table(home, table, version)
        names[table.name] = table.name.replace(".", "_")
        frame = read_table(session, place.folder, counted, far=far_address(session, place.folder))
        frame.createOrReplaceTempView(names[table.name])
    define_all_in_spark(session, home)
    for name, text in ordered_views():
        session.sql(bind(text, names, {}, dialect="spark")).createOrReplaceTempView(name)
        names[name] = name
    saved = saved_texts(home, pins=pins)
    for name in saved:
        try:
            bound = bind(gated(name, saved), names, {}, dialect="spark")
            session.sql(bound).createOrReplaceTempView(name)
        except Exception as error:  # Spark has many kinds
            logger.warning("saved view %s is not defined in this session: %s", name, one_line(error, limit=300))
            continue
        names[name] = name
    return names
