"""Matching the names of an import with what has landed: all names at once, each to one entity or to none."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pyarrow as pa

from lakehouse.engines import Relation
from lakehouse.lake import Lake
from lakehouse.opinions.matching.choice import CHOSEN, choose
from lakehouse.opinions.matching.subjects import SubjectRule, key_guesses, stem_of
from lakehouse.query import count_rows, fetch, query

ROWS_PER_TASK = 5_000

OBSERVED = """
observed as (
    select entity_id, uri, path, rank() over (partition by source, drop_name, path order by seen_at desc) as age
    from silver.entity_sources where ($source = '' or source = $source) and path in (select path from touched)
)"""
"""Of one place the newest bytes count. `touched` has the paths that names may mean: of many only these are ranked."""


def _near(path: str, form: str) -> str:
    return (
        f"case when {path} = {form} then 0 when ends_with({path}, '/' || {form}) then 1 "
        f"when ends_with({form}, '/' || {path}) then 2 end"
    )


KEYS = """
select asked, key_kind, form, regexp_extract(form, '[^/]*$', 0) as last_part from (
    select asked, key_kind, unnest(forms) as form
    from (select distinct asked, key_kind, forms from items where kind = 'answer') named
) spelled
"""
"""Spellings of the names of an import; staged, so that a plan knows them for the smaller side."""

PLACES = rf"""
with touched as (
    select s.path from silver.entity_sources s join keys k on k.last_part = regexp_extract(s.path, '[^/]*$', 0)
    where k.key_kind in ('path', 'auto', 'name')
    union
    select s.path from silver.entity_sources s join keys k on k.form = s.uri where k.key_kind = 'uri'
    union
    select s.path from silver.entity_sources s
    join keys k on k.last_part = regexp_replace(regexp_extract(s.path, '[^/]*$', 0), '\.[^.]*$', '')
    where k.key_kind = 'stem'
), {OBSERVED}
select entity_id, uri, path, regexp_extract(path, '[^/]*$', 0) as last_part from observed where age = 1
"""
"""What has landed and may be meant; staged: of a large lake it is small, and `HITS` looks at it in three ways."""

HITS = rf"""
with hits as (
    select k.asked, e.entity_id, '' as path, 0 as distance
    from keys k join silver.entities e on e.entity_id = k.form where k.key_kind = 'sha256'
    union all
    select k.asked, m.entity_id, '' as path, 0 as distance
    from keys k join (select distinct entity_id from gold.dataset_members where parent_ids is not null) m
        on m.entity_id = k.form
    where k.key_kind = 'sha256'
    union all
    select k.asked, p.entity_id, p.path, 0 as distance
    from keys k join places p on p.uri = k.form where k.key_kind = 'uri'
    union all
    select asked, entity_id, path,
        case when near < 2 then near when in_uri then 2 when near = 2 then 3 end as distance
    from (
        select k.asked, p.entity_id, p.path, ends_with(p.uri, '/' || k.form) as in_uri,
            case when k.key_kind = 'name' then 1 else {_near("p.path", "k.form")} end as near
        from keys k join places p on p.last_part = k.last_part where k.key_kind in ('path', 'auto', 'name')
    ) ends
    union all
    select k.asked, p.entity_id, p.path, 0 as distance
    from keys k join places p on regexp_replace(p.last_part, '\.[^.]*$', '') = k.last_part
    where k.key_kind = 'stem'
), closest as (
    select asked, min(distance) as distance from hits group by asked
)
select h.asked, h.entity_id, h.path, case when h.distance = 3 then 'tail' else 'name' end as way
from hits h join closest c on c.asked = h.asked and c.distance = h.distance
"""
"""What fits the names as they are written; of each name only what fits best.

A name that begins with folders which nothing landed in (`/home/me/photos/1.png`, `test/1.png` where `1.png` is known)
fits by its end alone: that is a guess too.
"""

ID_HITS = """
select k.asked, s.entity_id, s.path, 'name' as way
from keys k
join bronze.landed_files l on json_extract_string(l.sidecar_json, '$.id') = k.form
join silver.entity_sources s on s.landed_id = l.landed_id
where k.key_kind = 'id' and ($source = '' or s.source = $source)
"""
"""What has landed beside a sidecar that states such an id."""

FOLDED = f"translate(path, '{string.ascii_uppercase}', '{string.ascii_lowercase}')"

MISSED = """
select distinct i.asked, i.subject_key from items i
where i.kind = 'answer' and i.key_kind = 'auto' and not exists (select 1 from hits h where h.asked = i.asked)
"""

GUESSES = rf"""
with keys as (
    select asked, way, form, regexp_extract(form, '[^/]*$', 0) as last_part from spellings
), touched as (
    select path from (
        select path, regexp_extract({FOLDED}, '[^/]*$', 0) as last_part,
            regexp_extract(regexp_replace({FOLDED}, '\.[^./]*$', ''), '[^/]*$', 0) as last_stem
        from silver.entity_sources
    ) s
    where exists (select 1 from keys k where k.last_part = s.last_part and k.way <> 'stem')
        or exists (select 1 from keys k where k.last_part = s.last_stem and k.way = 'stem')
), {OBSERVED}, folded as (
    select entity_id, path, {FOLDED} as whole from observed where age = 1
), spelled as (
    select entity_id, path, whole, regexp_replace(whole, '\.[^./]*$', '') as stem from folded
), places as (
    select entity_id, path, whole, stem, regexp_extract(whole, '[^/]*$', 0) as last_part,
        regexp_extract(stem, '[^/]*$', 0) as last_stem
    from spelled
), found as (
    select k.asked, p.entity_id, p.path, k.way, {_near("p.whole", "k.form")} as distance,
        case k.way when 'url' then 0 when 'unquoted' then 4 when 'upload' then 30 else 10 end as far
    from keys k join places p on p.last_part = k.last_part where k.way <> 'stem'
    union all
    select k.asked, p.entity_id, p.path, k.way, {_near("p.stem", "k.form")} as distance, 20 as far
    from keys k join places p on p.last_stem = k.last_part where k.way = 'stem'
), ranked as (
    select asked, entity_id, path, way, distance + far as distance from found where distance is not null
), closest as (
    select asked, min(distance) as distance from ranked group by asked
)
select r.asked, r.entity_id, r.path, r.way
from ranked r join closest c on c.asked = r.asked and c.distance = r.distance
"""
"""What may be meant where nothing fits as it is written."""

GROUPED = """
select asked, max(way) as way, min(entity_id) as subject_id, count(distinct entity_id) as candidates
from (select asked, entity_id, way from hits union all select asked, entity_id, way from guesses) both_ways
group by asked
"""

PLAIN = """
select asked, subject_id, candidates, cast(null as varchar) as note, cast(null as varchar) as fitting
from grouped where candidates = 1 and way = 'name'
"""

DOUBTFUL = """
with named as (
    select asked, max(subject_key) as subject_key, max(folders) as folders
    from items where kind = 'answer' group by asked
), places as (
    select asked, list(distinct entity_id || ' ' || path) as places
    from (select asked, entity_id, path from hits union all select asked, entity_id, path from guesses) both_ways
    group by asked
)
select g.asked, n.subject_key, n.folders, g.way, g.subject_id, g.candidates, p.places
from grouped g join named n on n.asked = g.asked join places p on p.asked = g.asked
where g.candidates > 1 or g.way <> 'name'
"""
"""Names that several entities have, and guesses, with all that may be meant."""

ALONE = """
with meant as (
    select asked, subject_id from plain union all select asked, subject_id from chosen where candidates = 1
), names as (
    select m.subject_id, count(distinct i.subject_key) as num_names
    from meant m join (select distinct asked, subject_key from items where kind = 'answer') i on i.asked = m.asked
    group by m.subject_id
)
select asked, subject_id, candidates, note, fitting from plain
union all
select c.asked, c.subject_id, c.candidates, c.note, c.fitting
from chosen c left join names n on n.subject_id = c.subject_id
where c.guessed = 0 or c.candidates > 1 or n.num_names = 1
"""
"""All matches but the guesses at what another name of the import means as well."""

SPELLINGS = pa.schema([("asked", pa.string()), ("way", pa.string()), ("form", pa.string())])

def match_subjects(lake: Lake, items: Relation, rule: SubjectRule, *, guess: bool = True) -> Relation:
    """Return `MATCHED` of the answers in `items`.

    Args:
        lake: The lake.
        items: Rows of `ITEMS`, staged: all names of the import, because a guess depends on the others.
        rule: Where to look.
        guess: Whether names that fit nowhere may be guessed.
    """
    stage, params = lake.engine.stage, {"source": rule.source}
    keys = stage(query(lake, KEYS, inputs={"items": items}))
    if rule.match == "id":
        hits = stage(query(lake, ID_HITS, inputs={"keys": keys}, params=params))
    else:
        places = stage(query(lake, PLACES, inputs={"keys": keys}, params=params))
        hits = stage(query(lake, HITS, inputs={"keys": keys, "places": places}))
    guesses = query(lake, "select asked, entity_id, path, way from hits where false", inputs={"hits": hits})
    if guess:
        missed = stage(query(lake, MISSED, inputs={"items": items, "hits": hits}))
        if count_rows(lake, missed):
            spelled = lake.engine.map_batches(missed, spell, SPELLINGS, rows_per_task=ROWS_PER_TASK, label="names")
            guesses = stage(query(lake, GUESSES, inputs={"spellings": stage(spelled)}, params=params))
    found = {"hits": hits, "guesses": guesses}
    grouped = stage(query(lake, GROUPED, inputs=found))
    plain = query(lake, PLAIN, inputs={"grouped": grouped})
    text = "select count(*) as n from grouped where candidates > 1 or way <> 'name'"
    if not fetch(lake, text, inputs={"grouped": grouped})[0]["n"]:
        return stage(plain)
    doubtful = query(lake, DOUBTFUL, inputs=found | {"items": items, "grouped": grouped})
    chosen = lake.engine.map_batches(doubtful, choose, CHOSEN, rows_per_task=ROWS_PER_TASK, label="subjects")
    return stage(query(lake, ALONE, inputs={"plain": plain, "chosen": stage(chosen), "items": items}))


def hint_of(lake: Lake, rule: SubjectRule, key: str) -> str:
    """Return what a person may do about a name that fits nothing: the nearest thing, and the setting that takes it."""
    name = key.replace("\\", "/").rpartition("/")[2]
    stem = stem_of(name)
    text = f"""
    with touched as (
        select path from silver.entity_sources
        where regexp_extract(path, '[^/]*$', 0) = $name
            or regexp_replace(regexp_extract(path, '[^/]*$', 0), '\\.[^.]*$', '') = $stem
    ), {OBSERVED}, named as (
        select path, regexp_extract(path, '[^/]*$', 0) as last_part from observed where age = 1
    )
    select path, case when last_part = $name then 'name' else 'stem' end as how from named
    where last_part = $name or regexp_replace(last_part, '\\.[^.]*$', '') = $stem order by how, path limit 1
    """
    params = {"source": rule.source, "name": name, "stem": stem}
    for row in fetch(lake, text, params=params):
        other = "in another folder" if row["how"] == "name" else "with another ending"
        return f"; {row['path']!r} is known, {other}: set match = {row['how']} if that is meant"
    landed = "select path from bronze.landed_files where name = $name and ($source = '' or source = $source) limit 1"
    if fetch(lake, landed, params={"source": rule.source, "name": name}):
        return "; a file of that name has landed and is no entity: run entities and resolve, or see silver.rejected"
    return "; land it and resolve, or set match"


def spell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `SPELLINGS` of rows of `MISSED`."""
    for batch in batches:
        rows = [
            {"asked": row["asked"], "way": way, "form": form}
            for row in batch.to_pylist()
            for way, form in key_guesses(row["subject_key"])
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=SPELLINGS)
