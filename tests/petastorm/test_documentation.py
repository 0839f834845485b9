"""What the pages say about Petastorm is run: every Python block of them, and what they name is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from loaders.petastorm import make_reader
from loaders.petastorm.etl.local_writer import write_rows
from tests.petastorm.every_codec import SCHEMA, row

REPOSITORY = Path(__file__).resolve().parents[2]
MIGRATION = REPOSITORY / "loaders" / "petastorm" / "MIGRATION.md"


def blocks(page, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.torch
def test_every_block_of_the_migration_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "migration"}
    found = blocks(MIGRATION)
    for number, block in enumerate(found):
        exec(compile(block, f"MIGRATION.md, block {number}", "exec"), names)
    assert len(found) >= 7


@pytest.mark.torch
def test_the_block_of_the_readme_runs(tmp_path):
    pytest.importorskip("torch")
    [block] = [block for block in blocks(REPOSITORY / "README.md") if "loaders.petastorm" in block]
    write_rows(f"file://{tmp_path}/set", SCHEMA, map(row, range(3)))
    seen = []
    text = block.replace("file:///data/old_dataset", f"file://{tmp_path}/set").replace("photo", "colour")
    assert text != block
    exec(text, {"train_step": lambda *tensors: seen.append(len(tensors[0]))})
    assert sum(seen) == 3


def test_public_modules_are_there_under_their_names():
    for name in (
        "reader unischema codecs transform ngram predicates selectors weighted_sampling_reader cache local_disk_cache "
        "fs_utils errors utils generator pytorch tf_utils spark_utils etl etl.dataset_metadata etl.rowgroup_indexers "
        "etl.rowgroup_indexing etl.petastorm_generate_metadata etl.metadata_util spark spark.spark_dataset_converter "
        "tools.copy_dataset test_util.reader_mock benchmark.throughput benchmark.cli workers_pool.thread_pool"
    ).split():
        importlib.import_module(f"loaders.petastorm.{name}")


def test_what_is_not_there_says_so(tmp_path):
    from loaders.petastorm.tf_utils import make_petastorm_dataset, tf_tensors

    write_rows(f"file://{tmp_path}/set", SCHEMA, [row(0)])
    with make_reader(f"file://{tmp_path}/set") as reader:
        for helper in (tf_tensors, make_petastorm_dataset):
            with pytest.raises(NotImplementedError, match=f"{helper.__name__} is not there: TensorFlow is out of"):
                helper(reader)
