-- Which pictures has no person answered about, or only declined to?
select e.entity_id, s.path, e.group_keys['session'] as session,
    exists (select 1 from opinions o where o.subject_id = e.entity_id and o.op = 'abstain') as declined
from entities e
join (select entity_id, min(path) as path from silver.entity_sources group by entity_id) s
    on s.entity_id = e.entity_id
where not exists (
    select 1 from current_opinions c
    join silver.actors a on a.actor_id = c.actor_id
    where c.subject_id = e.entity_id and a.kind = 'human' and c.op = 'assert'
)
order by s.path
