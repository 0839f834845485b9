"""Datasets that are copied, and what the commands say."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.petastorm.errors import PetastormMetadataError
from loaders.petastorm.etl.dataset_metadata import get_schema_from_dataset_url
from loaders.petastorm.etl.local_writer import write_rows
from loaders.petastorm.etl.metadata_util import main as show
from loaders.petastorm.tools.copy_dataset import copy_dataset
from loaders.petastorm.tools.spark_session_cli import spark_settings
from tests.petastorm.every_codec import SCHEMA, row
from tests.petastorm.read_with_petastorm import described, read_with_petastorm


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    url = f"file://{tmp_path_factory.mktemp('tools')}/set"
    write_rows(url, SCHEMA, map(row, range(6)))
    return url


@pytest.mark.spark
def test_a_copy_has_the_chosen_fields_and_no_nulls_where_none_are_wanted(spark, every, tmp_path):
    url = f"file://{tmp_path}/copy"
    copy_dataset(spark, every, url, ["id", "maybe_.*"], ["maybe_points"], False, 2, 1)
    fields = [name for name in SCHEMA.fields if name == "id" or name.startswith("maybe_")]
    assert list(get_schema_from_dataset_url(url).fields) == fields
    found = {each["id"][1]: each for each in read_with_petastorm(url)["rows"]}
    assert set(found) == {described(np.int64(i))[1] for i in (0, 1, 3, 4)}
    assert found[described(np.int64(3))[1]]["maybe_matrix"] == described(row(3)["maybe_matrix"])
    assert len(list((tmp_path / "copy").glob("*.parquet"))) == 2
    with pytest.raises(Exception, match="PATH_ALREADY_EXISTS"):
        copy_dataset(spark, every, url, None, None, False, None, None)
    copy_dataset(spark, every, url, None, None, True, 1, None)
    assert get_schema_from_dataset_url(url).fields == SCHEMA.fields
    assert spark.read.parquet(url).count() == 6


@pytest.mark.spark
def test_a_copy_of_nothing_is_refused(spark, every, tmp_path):
    url = f"file://{tmp_path}/copy"
    with pytest.raises(ValueError, match="do not match any fields"):
        copy_dataset(spark, every, url, ["bogus"], None, False, None, None)
    with pytest.raises(ValueError, match="not_null_fields names bogus"):
        copy_dataset(spark, every, url, None, ["bogus"], False, None, None)
    spark.range(1).write.parquet(url)
    with pytest.raises(PetastormMetadataError):
        copy_dataset(spark, url, f"{url}2", None, None, False, None, None)


def test_the_metadata_of_a_dataset_is_shown(every, capsys):
    assert show(["--dataset-url", every, "--schema"]) == 0
    said = capsys.readouterr().out
    assert "UnischemaField('points', float32, (None, 3), NdarrayCodec(), False)" in said
    assert "indexes" not in said
    assert show(["--dataset-url", every]) == 0
    assert "Row groups index is not available" in capsys.readouterr().out


def test_settings_of_a_command_are_pairs():
    assert spark_settings(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(ValueError, match="key=value"):
        spark_settings(["a"])
