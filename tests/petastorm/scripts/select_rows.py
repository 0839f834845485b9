"""Index its row groups with Spark; read some rows, chosen by index, by value, by chance."""

import sys

import petastorm.predicates
from petastorm import make_reader
from petastorm.etl.rowgroup_indexers import SingleFieldIndexer
from petastorm.etl.rowgroup_indexing import build_rowgroup_index
from petastorm.selectors import SingleIndexSelector
from pyspark.sql import SparkSession


def ids(**arguments):
    with make_reader(sys.argv[1], schema_fields=["id"], **arguments) as reader:
        return sorted(int(row.id) for row in reader)


if __name__ == "__main__":
    spark = SparkSession.builder.getOrCreate()
    build_rowgroup_index(sys.argv[1], spark.sparkContext, [SingleFieldIndexer("by_id", "id")])
    print("indexed", 3 in ids(rowgroup_selector=SingleIndexSelector("by_id", [3])))
    print("chosen", ids(predicate=petastorm.predicates.in_lambda(["id"], lambda number: number > 6)))
    halves = [ids(predicate=petastorm.predicates.in_pseudorandom_split([0.5, 0.5], half, "id")) for half in range(2)]
    print("halves", halves)
