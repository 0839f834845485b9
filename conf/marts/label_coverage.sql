/*
doc = "How much of each source has a label, for each question, and how often people agree."
keys = ["question_id", "source"]

[columns]
question_id = "text"
source = "text"
entities = "integer"       # entities that the source brought
labelled = "integer"       # of these, with a label of people, or where there is none of an import
coverage = "number"        # labelled / entities, 0 to 1
heard_twice = "integer"    # labelled ones with two votes or more
unanimous = "integer"      # of these, with one label alone
agreement = "number"       # unanimous / heard_twice, 0 to 1; null: none was heard twice

# A correction may name what another question was asked; a source that has no label yet has a row too.
[touched]
"silver.opinions" = """
with said as (
    select question_id from newer
    union select o.question_id from silver.opinions o semi join newer n on n.target_opinion_id = o.opinion_id
    union select o.question_id from silver.opinions o
        semi join (select unnest(supersedes) as opinion_id from newer) n on n.opinion_id = o.opinion_id
)
select question_id, source from said cross join (select distinct source from silver.entity_sources) sources
"""
"silver.entity_sources" = """
select question_id, source from (select distinct source from newer) new
cross join (select distinct question_id from silver.opinions) asked
"""
"silver.questions" = """
select question_id, source from (select distinct question_id from newer) new
cross join (select distinct source from silver.entity_sources) sources
"""
# An actor alone said nothing yet. Of silver.label_sets nothing is said: a merge changes every question.
"silver.actors" = "select actor_id as question_id, kind as source from newer where false"
*/
with brought as (
    select distinct source, entity_id from silver.entity_sources
), asked as (
    select distinct question_id from silver.opinions
), counted as (
    select question_id, subject_id, count(*) as labels, sum(cast(votes as double)) as votes
    from labels group by question_id, subject_id
)
select a.question_id, b.source, count(*) as entities, count(c.subject_id) as labelled,
    cast(count(c.subject_id) as double) / count(*) as coverage,
    count(case when c.votes >= 2 then 1 end) as heard_twice,
    count(case when c.votes >= 2 and c.labels = 1 then 1 end) as unanimous,
    cast(count(case when c.votes >= 2 and c.labels = 1 then 1 end) as double)
        / nullif(count(case when c.votes >= 2 then 1 end), 0) as agreement
from asked a cross join brought b
left join counted c on c.question_id = a.question_id and c.subject_id = b.entity_id
group by a.question_id, b.source
