"""The embedded path asks for neither Java nor pyspark, from the first file to SQL over predictions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.parity.world import STEPS, make_world

REPOSITORY = Path(__file__).resolve().parents[2]

# Runs at the start of every Python below it, workers too: as if these were not installed.
NOT_INSTALLED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "delta", "torch", "pandas"):
            raise ModuleNotFoundError(f"No module named {name!r} (hidden by a test)", name=name)
        return None

sys.meta_path.insert(0, Missing())
"""

THE_WHOLE_WAY = """
import json, shutil, sys
from pathlib import Path

import lakehouse as lh
import lakehouse.sql
from tests.parity.world import MAJORITY, NOW, STEPS, World, go, opened

def main():
    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    assert shutil.which("java") is None
    receipts = go(root, World(folder), dict.fromkeys(STEPS, "embedded"))
    with opened(root, "embedded") as lake:
        text = "select entity_id, label from members where name = $name"
        members = lh.fetch(lake, text, params={"name": MAJORITY.name})
        predictions = [
            {"entity_id": row["entity_id"], "probabilities": {row["label"]: 0.75, "other": 0.25}} for row in members
        ]
        written = lh.record_opinions(lake, predictions, source="net", question="animal", actor="model:net@1")
    with lakehouse.sql.connect(root) as connection:
        text = "select count(*) from current_opinions where actor_id = 'model:net@1' and probs[label] = 0.75"
        heard = connection.execute(text).fetchall()[0][0]
    asked = lakehouse.sql.user_query(root, "select count(*) as n from entities_wide where width > 0").to_pylist()
    print(json.dumps({
        "steps": list(receipts), "members": len(members), "new": written.counts["new"], "heard": heard,
        "asked": asked[0]["n"], "entities": receipts["entities"].counts["stored"],
        "loaded": sorted({name.partition(".")[0] for name in sys.modules} & {"pyspark", "py4j", "delta", "torch"}),
    }))

if __name__ == "__main__":
    main()
"""


def test_the_whole_way_needs_neither_java_nor_pyspark(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", pictures=12)
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NOT_INSTALLED)
    (tmp_path / "way.py").write_text(THE_WHOLE_WAY)
    empty = tmp_path / "no commands here"
    empty.mkdir()
    java = ("JAVA", "SPARK", "PYSPARK")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(java)}
    environment |= {"PATH": str(empty), "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])}

    blocked = _python(["-c", "import pyspark"], environment)
    assert blocked.returncode == 1
    assert "hidden by a test" in blocked.stderr

    done = _python([str(tmp_path / "way.py"), str(tmp_path / "lake"), str(world.folder)], environment)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["steps"] == list(STEPS)
    assert said["loaded"] == []
    assert said["members"] > 0
    assert said["heard"] == said["new"] == said["members"]
    assert said["asked"] == said["entities"] == 12


def _python(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        check=False,
    )
