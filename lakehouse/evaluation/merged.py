"""Labels that were merged when a dataset was built: a prediction that says one of them says the one that stands for it.

Merges that came later are none for this dataset: its members have the labels that stood then.
"""

from __future__ import annotations

import json
from datetime import datetime

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.query import fetch, query
from lakehouse.views.ontology import merged_labels_sql
from schemas.tables import LABEL_SETS, QUESTIONS

BUILT = "select pins_json, recipe_json from gold.datasets where dataset_id = $dataset_id"


def merged_then(lake: Lake, dataset_id: str) -> Relation:
    """Return what stood for what: the columns of the view `merged_labels`, as the dataset's answers were read."""
    row = fetch(lake, BUILT, params={"dataset_id": dataset_id})[0]
    pins = {name: version for name, version in json.loads(row["pins_json"]).items() if name in TABLES}
    stated = json.loads(row["recipe_json"]).get("as_of", {}).get("known_at")
    known_at = None if stated is None else datetime.fromisoformat(str(stated))
    return lake.engine.stage(
        query(lake, merged_labels_sql(known_at=known_at is not None), params={"known_at": known_at}, pins=pins)
    )


TABLES = (LABEL_SETS.name, QUESTIONS.name)
