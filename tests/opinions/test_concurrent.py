"""Several processes at once: no answer twice, none lost, every batch a place of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from lakehouse.query import fetch

PROGRAM = """
import json, sys
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.opinions.step import OpinionSource, opinions as import_opinions
root, path, actor = sys.argv[1:]
config = load_config(overrides=[f"lake.root={json.dumps(root)}", "engine.workers=1"], environ={})
source = OpinionSource(format="csv", path=path, source="photos", question="animal", actor="human:ann", name=actor)
with open_lake(config) as lake:
    sys.stdin.readline()
    print(json.dumps(dict(import_opinions(lake, source).counts)))
"""


def test_two_processes_that_import_the_same_answers_add_them_once(photos, tmp_path):
    (tmp_path / "a.csv").write_text("subject,label\n1.jpg,cat\n2.jpg,cat\n3.jpg,dog\n4.jpg,dog\n")
    (tmp_path / "b.csv").write_text("subject,label\n4.jpg,dog\n3.jpg,dog\n2.jpg,cat\n")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(photos.root), str(tmp_path / name), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd(),
        )
        for name in ("a.csv", "b.csv")
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert sum(each["new"] for each in counts) == 4
    assert sum(each["same"] for each in counts) == 3
    rows = fetch(photos, "select opinion_id, ingest_seq from silver.opinions")
    assert len({row["opinion_id"] for row in rows}) == len({row["ingest_seq"] for row in rows}) == len(rows) == 4
    ordinals = [row["ordinal"] for row in fetch(photos, "select ordinal from silver.batches")]
    assert len(ordinals) == len(set(ordinals))
