"""What is stored beside a dataset is found, told apart from what is missing, and added to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import FormatError
from loaders.petastorm.etl.dataset_metadata import (
    ROW_GROUPS_PER_FILE_KEY,
    UNISCHEMA_KEY,
    PetastormMetadataError,
    get_schema,
    get_schema_from_dataset_url,
    infer_or_load_unischema,
    load_row_groups,
)
from loaders.petastorm.etl.pickles import UnsafePickleError
from loaders.petastorm.rowgroups.folder import open_folder
from loaders.petastorm.utils import add_to_dataset_metadata

DATA = Path(__file__).parent / "data"


@pytest.fixture
def dataset(tmp_path) -> Path:
    return Path(shutil.copytree(DATA / "rowgroups", tmp_path / "rowgroups"))


@pytest.fixture
def plain(tmp_path) -> Path:
    (tmp_path / "plain").mkdir()
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", None]}), tmp_path / "plain" / "a.parquet", row_group_size=1)
    return tmp_path / "plain"


def test_a_stored_schema_is_found_by_folder_and_by_url(dataset):
    with open_folder(dataset) as folder:
        found = get_schema(folder)
        assert str(infer_or_load_unischema(folder)) == str(found)
        assert [piece.ordinal for piece in load_row_groups(folder)] == list(range(9))
    assert str(get_schema_from_dataset_url(f"file://{dataset}")) == str(found)
    assert found._name == "RowgroupsSchema"


def test_a_folder_without_one_says_so_and_its_columns_speak(plain):
    with open_folder(plain) as folder:
        with pytest.raises(PetastormMetadataError, match="Could not find _common_metadata file"):
            get_schema(folder)
        assert list(infer_or_load_unischema(folder).fields) == ["id", "name"]
        assert len(load_row_groups(folder)) == 2
        add_to_dataset_metadata(folder, "mine", "text")
    with open_folder(plain) as folder:
        assert folder.metadata[b"mine"] == b"text"
        with pytest.raises(PetastormMetadataError, match="Could not find the unischema in the dataset common metadata"):
            get_schema(folder)


def test_hostile_and_foreign_schemas_are_never_taken_for_missing_ones(plain):
    with open_folder(plain) as folder:
        add_to_dataset_metadata(folder, UNISCHEMA_KEY, b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(UnsafePickleError, match="os.system"):
            infer_or_load_unischema(folder)
        add_to_dataset_metadata(folder, UNISCHEMA_KEY, b"N.")
        with pytest.raises(FormatError, match="expected a Unischema"):
            infer_or_load_unischema(folder)


def test_a_value_is_added_and_everything_else_stays(dataset):
    before = pq.read_schema(dataset / "_common_metadata")
    with open_folder(dataset) as folder:
        add_to_dataset_metadata(folder, b"mine", b"\0bytes")
        assert folder.metadata[b"mine"] == b"\0bytes"
    after = pq.read_schema(dataset / "_common_metadata")
    assert after.remove_metadata() == before.remove_metadata()
    assert after.metadata == {**before.metadata, b"mine": b"\0bytes"}
    assert ROW_GROUPS_PER_FILE_KEY in after.metadata
    with open_folder([dataset / "part-00000.parquet"]) as files:
        with pytest.raises(ValueError, match="Expected dataset.paths to be a single path"):
            add_to_dataset_metadata(files, b"mine", b"")
