"""docs/trademarks.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from lakehouse.query import fetch
from tests.changes.test_changes import DELIVERIES, deliver, objects
from tests.making import Clock, small_lake

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "trademarks.md").read_text(encoding="utf-8")


def test_the_page_runs_and_its_five_training_sets_are_these(tmp_path):
    with small_lake(tmp_path / "my_lake", clock=Clock()) as lake:
        for name in DELIVERIES:
            deliver(lake, tmp_path, name)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    names = {"__name__": "page"}
    exec(compile(code.replace("my_lake", f"{tmp_path}/my_lake"), "docs/trademarks.md", "exec"), names)
    text = "select count(*) as n from gold.dataset_members where dataset_id = $id"
    with small_lake(tmp_path / "my_lake", clock=Clock()) as lake:
        sets = [names[each] for each in ("first", "second", "third", "fourth", "fifth")]
        assert [fetch(lake, text, params={"id": each})[0]["n"] for each in sets] == [4, 9, 5, 7, 12]
        assert objects(lake) == 12
