"""A stream is the same on both engines: its order, its texts, and the state that one saves and the other loads."""

from __future__ import annotations

import pytest

from tests.making import add_entities, entity_id
from tests.parity.world import opened

NAMES = [f"text number {number}" for number in range(11)]
QUERY = "select entity_id, size_bytes from entities where size_bytes > $least order by size_bytes desc"


def streamed(lake, state=None):
    with lake.stream(QUERY, params={"least": 1}, batch_size=4) as stream:
        if state is not None:
            stream.load_state_dict(state)
        batches = [(batch["entity_id"], batch["text"], batch["size_bytes"].tolist()) for batch in stream]
        stream.set_epoch(0)
        next(stream)
        return batches, stream.state_dict()


@pytest.mark.spark
def test_a_stream_is_the_same_on_both_engines(tmp_path, spark):
    with opened(tmp_path / "lake", "embedded") as lake:
        add_entities(lake, NAMES)
        for name in NAMES:
            place = lake.root / "objects" / entity_id(name)[:2] / entity_id(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(name.encode())
        batches, state = streamed(lake)
    assert sorted({text for _, texts, _ in batches for text in texts}) == sorted(NAMES)
    with opened(tmp_path / "lake", "spark") as lake:
        assert streamed(lake) == (batches, state)
        assert streamed(lake, state)[0] == batches[1:]
