/*
doc = "What came of each source on each day, UTC: files, bytes, and what was refused or rejected."
keys = ["source", "day"]

[columns]
source = "text"            # null: rejected inputs that belong to no source
day = "date"
files = "integer"          # observations of files, refused ones among them
refused = "integer"        # of these, by landing
size_bytes = "integer"     # of those that were not refused
rejected = "integer"       # inputs that a later step, or an import of opinions, rejected on that day

[touched]
"bronze.landed_files" = "select source, cast(landed_at as date) as day from newer"
"silver.rejected" = "select source, cast(rejected_at as date) as day from newer"
*/
with seen as (
    select source, cast(landed_at as date) as day, 1 as files,
        case when status = 'refused' then 1 else 0 end as refused,
        case when status = 'refused' then 0 else size_bytes end as size_bytes, 0 as rejected
    from bronze.landed_files
    union all
    select source, cast(rejected_at as date) as day, 0 as files, 0 as refused, 0 as size_bytes, 1 as rejected
    from silver.rejected
)
select source, day, sum(files) as files, sum(refused) as refused, sum(size_bytes) as size_bytes,
    sum(rejected) as rejected
from seen group by source, day
