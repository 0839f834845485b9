-- On which pictures does the crowd disagree most, and what did the experts say?
select l.subject_id, l.label, l.share, l.votes, l.tied_with, o.label as expert_label, o.event_time
from labels l
left join current_opinions o
    on o.subject_id = l.subject_id and o.question_id = l.question_id and o.actor_id = 'human:ann'
where l.question_id = 'animal' and l.rank = 1
order by l.share, l.subject_id
limit 10
