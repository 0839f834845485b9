"""Labels that were merged when a dataset was built: a prediction that says one of them says the one that stands for it.

Merges that came later are none for this dataset: its members have the labels that stood then.
"""

from __future__ import annotations

import json
from datetime import datetime

from lakehouse.engines import Relation
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.views.ontology import merged_labels_sql
from schemas.tables import LABEL_SETS, QUESTIONS

BUILT = "select name, pins_json, recipe_json from gold.datasets where dataset_id = $dataset_id"

HERE = "select label_id, stands_for from merged where question_id = $question order by label_id"


def merged_then(lake: Lake, dataset_id: str) -> Relation:
    """Return what stood for what: the columns of the view `merged_labels`, as the dataset's answers were read.

    Raises:
        TableError: If the version was restored where the tables are not those that it was built from, and labels of
            its question are merged here: whether they were then is not known.
    """
    row = fetch(lake, BUILT, params={"dataset_id": dataset_id})[0]
    recipe = json.loads(row["recipe_json"])
    pins = {name: version for name, version in json.loads(row["pins_json"]).items() if name in TABLES}
    stated = recipe.get("as_of", {}).get("known_at")
    known_at = None if stated is None else datetime.fromisoformat(str(stated))
    found = lake.engine.stage(
        query(lake, merged_labels_sql(known_at=known_at is not None), params={"known_at": known_at}, pins=pins)
    )
    if len(pins) < len(TABLES):
        rows = fetch(lake, HERE, params={"question": recipe.get("question", "")}, inputs={"merged": found})
        if rows:
            raise TableError(
                f"dataset {row['name']} ({dataset_id}) was restored from a file, and the tables of {lake.home} are not "
                f"those that it was built from: label {rows[0]['label_id']!r} counts as {rows[0]['stands_for']!r} here "
                "now, and whether it did then is not known; score it where it was built, or build it anew"
            )
    return found


TABLES = (LABEL_SETS.name, QUESTIONS.name)
