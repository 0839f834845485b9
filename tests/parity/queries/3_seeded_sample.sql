-- Three pictures of each leading label, drawn by the seed, with the day they were taken.
select l.label, e.entity_id, petrel_bucket(e.entity_id, 42) as place, date_trunc('day', e.captured_at) as taken_on
from entities e
join labels l on l.subject_id = e.entity_id and l.rank = 1
qualify row_number() over (partition by l.label order by petrel_bucket(e.entity_id, 42), e.entity_id) <= 3
order by l.label, place
