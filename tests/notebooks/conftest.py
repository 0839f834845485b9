"""A small lake like the demo's: a few digits, answers, a dataset, predictions of a model that errs a little."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.demo.prepare import prepare_digits
from examples.demo.steps import config_for, run_embedded
from lakehouse.datasets.versions.find import find_dataset
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.opening import open_lake
from lakehouse.opinions.step import record_opinions
from lakehouse.query import fetch


@pytest.fixture(scope="session")
def small_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the lake."""
    pytest.importorskip("sklearn")
    home = tmp_path_factory.mktemp("notebooks") / "digits"
    lake_folder = home / "lake"
    run_embedded(prepare_digits(home, limit=120), lake_folder, say=lambda _: None)
    with open_lake(config_for(lake_folder)) as lake:
        dataset_id = find_dataset(lake, "digits").dataset_id
        members = fetch(lake, "select entity_id, label from gold.dataset_members order by entity_id")
        # Every seventh answer is the next digit: something to confuse.
        rows = [
            {"entity_id": row["entity_id"], "probabilities": _probabilities(row["label"], wrong=place % 7 == 0)}
            for place, row in enumerate(members)
        ]
        said_at = datetime(2024, 6, 1, tzinfo=UTC)
        record_opinions(lake, rows, source="test", question="digit", actor="model:cnn@1", said_at=said_at)
        evaluate(lake, dataset_id=dataset_id, actor="model:cnn@1", question="digit")
    return lake_folder


def _probabilities(label: str, *, wrong: bool) -> dict[str, float]:
    other = str((int(label) + 1) % 10)
    return {label: 0.3, other: 0.7} if wrong else {label: 0.9, other: 0.1}
