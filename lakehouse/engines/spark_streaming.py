"""A stream as Structured Streaming has it: one micro-batch of a query for each batch that the driver hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.engines.protocol import Taken
from lakehouse.engines.spark_staging import Staging
from lakehouse.engines.spark_tables import location, schema_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def stream_batches(
    session: SparkSession, staging: Staging, number: int, checkpoint: Path, batches: Iterable[pa.Table],
    schema: pa.Schema, take: Callable[[DataFrame], Taken],
) -> Iterator[Taken]:  # fmt: skip
    """Put each batch as a file into a folder that a streaming query reads, and yield what `take` makes of it.

    The query runs while there is a batch and rests otherwise: one that waits would list the folder all the time.

    Args:
        session: Where the query runs.
        staging: Where executors see the folder.
        number: Of the folder, in the staging.
        checkpoint: Folder of this machine for the checkpoint of the query; the driver alone writes it.
        batches: The stream.
        schema: Of every batch.
        take: Gets the frame of a micro-batch, in the thread that Spark calls.
    """
    for part, batch in enumerate(batches):
        staging.put(number, batch.cast(schema).to_batches(), schema, part=part)
        taken: list[Taken] = []
        failed: list[Exception] = []

        def call(frame: DataFrame, _: int, taken: list[Taken] = taken, failed: list[Exception] = failed) -> None:
            try:
                taken.append(take(frame))
            except Exception as error:
                failed.append(error)
                raise

        stream = session.readStream.schema(schema_of(schema)).parquet(staging.location(number))
        query = (
            stream.writeStream.foreachBatch(call)
            .option("checkpointLocation", location(checkpoint, pattern=False))
            .trigger(availableNow=True)
            .start()
        )
        try:
            query.awaitTermination()
        except Exception as error:
            # What was raised here says more than what Spark tells of it.
            raise (failed[0] if failed else error) from None
        yield from taken
