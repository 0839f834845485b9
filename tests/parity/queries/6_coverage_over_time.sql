-- How do answers grow over time, and which share of the pictures has one?
select o.question_id, a.kind, date_trunc('minute', o.event_time) as minute,
    count(*) as answers, cast(sum(o.votes) as bigint) as votes,
    count(distinct o.subject_id) / cast((select count(*) from entities) as double) as coverage,
    count(distinct o.label) as labels
from opinions o
join silver.actors a on a.actor_id = o.actor_id
where o.op <> 'retract'
group by o.question_id, a.kind, date_trunc('minute', o.event_time)
order by o.question_id, a.kind, minute
