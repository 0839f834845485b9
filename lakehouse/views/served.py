"""The view of served events: the parts of each, joined by its id, however and whenever they came."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.views.view import View

_LAST = "max_by(payload, concat(coalesce(said_at, ''), ' ', record_id)) filter (where part = '{}')"

SERVED_EVENTS = f"""
with parts as (
    select source, json_extract_string(payload, '$.event_id') as event_id, json_extract_string(payload, '$.part')
        as part, json_extract_string(payload, '$.at') as said_at, payload, record_id
    from bronze.raw_records where kind = 'event'
), told as (
    select source, event_id, count(*) filter (where part = 'prediction') as num_predictions,
        count(*) filter (where part = 'metadata') as num_metadata,
        count(*) filter (where part = 'feedback') as num_feedback,
        {_LAST.format("prediction")} as prediction_json, {_LAST.format("metadata")} as metadata_json,
        {_LAST.format("feedback")} as feedback_json
    from parts group by source, event_id
), inputs as (
    select source, regexp_replace(regexp_extract(path, '[^/]*$', 0), '[.][^.]*$', '') as event_id,
        count(distinct sha256) as num_inputs, max_by(sha256, concat(cast(mtime_at as varchar), landed_id)) as entity_id
    from bronze.landed_files
    where status <> 'refused' and source in (select source from bronze.raw_records where kind = 'capture')
    group by source, regexp_replace(regexp_extract(path, '[^/]*$', 0), '[.][^.]*$', '')
)
select coalesce(i.source, t.source) as source, coalesce(i.event_id, t.event_id) as event_id, i.entity_id,
    coalesce(i.num_inputs, 0) as num_inputs, coalesce(t.num_predictions, 0) as num_predictions,
    coalesce(t.num_metadata, 0) as num_metadata, coalesce(t.num_feedback, 0) as num_feedback,
    t.prediction_json, t.metadata_json, t.feedback_json
from inputs i full join told t on t.source = i.source and t.event_id = i.event_id
"""

VIEWS: Mapping[str, View] = {
    "served_events": View(SERVED_EVENTS, "One row per event of a served model: its input and the last of each part."),
}
