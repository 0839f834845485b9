"""From the name that a source has for a thing to the entity of the lake."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from dataclasses import dataclass

from lakehouse.engines import Relation
from lakehouse.ingestion.listing import plain_path
from lakehouse.lake import Lake
from lakehouse.query import query
from schemas.canonical import canonical_json

MATCHES = ("auto", "path", "name", "stem", "sha256", "uri")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """How subjects are found.

    Attributes:
        source: Landed source to look in; "" means all.
        match: auto (SHA-256, file:// URI or path, by its looks), path (relative path, or one that ends or begins
            as the other does), name (last part of the path), stem (name without its ending), sha256 or uri.
    """

    source: str = ""
    match: str = "auto"

    def to_json(self) -> str:
        """Canonical JSON of the rule."""
        return canonical_json(dataclasses.asdict(self))


def key_kind(key: str, match: str) -> str:
    """Return what a subject key is under a rule: sha256, uri, path, name or stem."""
    if match != "auto":
        return match
    if _SHA256.fullmatch(key):
        return "sha256"
    return "uri" if key.startswith("file://") else "path"


def key_forms(key: str, kind: str) -> list[str]:
    """Return the spellings of a subject key under which the lake may know it, without repeats.

    File names differ in Unicode form between systems, and the lake percent-encodes what is not plain text.
    """
    if kind == "sha256":
        return [key.lower()]
    if kind == "uri":
        return [key]
    plain = key.replace("\\", "/").lstrip("/")
    while plain.startswith("./"):
        plain = plain[2:]
    spellings = [plain] if plain.isascii() else [plain, *(unicodedata.normalize(f, plain) for f in ("NFC", "NFD"))]
    forms = [each for spelling in spellings for each in (plain_path(spelling.encode()), spelling)]
    return list(dict.fromkeys(forms))


MATCHED = r"""
with asked as (
    select subject_key, key_kind, unnest(forms) as form
    from (select distinct subject_key, key_kind, forms from items where kind = 'answer') keys
), keys as (
    select subject_key, key_kind, form, regexp_extract(form, '[^/]*$', 0) as last_part from asked
), observed as (
    select entity_id, uri, path, rank() over (partition by source, drop_name, path order by seen_at desc) as age
    from silver.entity_sources where $source = '' or source = $source
), places as (
    select entity_id, uri, path, regexp_extract(path, '[^/]*$', 0) as last_part from observed where age = 1
), hits as (
    select k.subject_key, e.entity_id, 0 as distance
    from keys k join silver.entities e on e.entity_id = k.form where k.key_kind = 'sha256'
    union all
    select k.subject_key, p.entity_id, 0 as distance
    from keys k join places p on p.uri = k.form where k.key_kind = 'uri'
    union all
    select k.subject_key, p.entity_id,
        case when p.path = k.form then 0
             when k.key_kind = 'name' then 1
             when ends_with(p.path, '/' || k.form) then 1
             when ends_with(k.form, '/' || p.path) then 2 end as distance
    from keys k join places p on p.last_part = k.last_part where k.key_kind in ('path', 'name')
    union all
    select k.subject_key, p.entity_id, 0 as distance
    from keys k join places p on regexp_replace(p.last_part, '\.[^.]*$', '') = k.last_part
    where k.key_kind = 'stem'
), closest as (
    select subject_key, min(distance) as distance from hits group by subject_key
)
select h.subject_key, min(h.entity_id) as subject_id, count(distinct h.entity_id) as candidates
from hits h join closest c on c.subject_key = h.subject_key and c.distance = h.distance
group by h.subject_key
"""
"""One row per subject key that the lake knows; of one place the newest bytes count, two places are ambiguous."""


def match_subjects(lake: Lake, items: Relation, rule: SubjectRule) -> Relation:
    """Return subject_key, subject_id and candidates (distinct entities that fit equally well) of known keys."""
    return lake.engine.stage(query(lake, MATCHED, inputs={"items": items}, params={"source": rule.source}))
