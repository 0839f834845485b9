-- What is in the dataset: by split and stratum, with the votes behind its labels.
with picked as (
    select m.split, m.stratum, m.entity_id, m.label, m.label_share, m.rank_in_stratum
    from members m
    where m.name = 'majority'
)
select split, stratum, count(*) as members, count(distinct label) as labels, avg(label_share) as mean_share,
    max(rank_in_stratum) as last_rank
from picked
group by all
order by all
