select count(*) from entities

select * from silver.entities where size_bytes > $min

select media_type, count(*) n from entities_wide group by all order by n desc

select label, avg(brightness) from entities_wide e join labels l on l.subject_id = e.entity_id where rank = 1 group by label

with big as (select * from entities_wide where width > 100) select count(*) from big

select * from current_opinions qualify row_number() over (partition by subject_id order by event_time desc) = 1

select distinct split from members

select entity_id, petrel_bucket(entity_id, 7) from entities order by 2 limit 10

select count(*) filter (where width > 3) from entities_wide

select list(label order by label) from labels

select unnest(labels) from opinions

select quantile_cont(brightness, 0.5), median(brightness), stddev(brightness), corr(width, height) from entities_wide

select date_trunc('day', captured_at), count(*) from entities group by 1

select * exclude (row_hash) from entities

select probs['cat'] from opinions

select group_keys['session'] from entities

select regexp_matches(uri, 'x'), lower(name), substr(name, 1, 3), length(name), replace(name,'a','b'), concat(a, b), trim(name), split_part(uri,'/',1), upper(name), starts_with(name,'x'), contains(name,'x') from silver.entity_sources

select coalesce(a, b), nullif(a, b), greatest(a, b), least(a,b), abs(a), round(a, 2), floor(a), ceil(a), ln(a), exp(a), sqrt(a), power(a,2), sign(a), mod(a,2), a % 2, a // 2 from entities_wide

select case when width > 3 then 'a' else 'b' end from entities_wide

select * from entities where entity_id in (select subject_id from labels where rank = 1)

select * from entities e where not exists (select 1 from opinions o where o.subject_id = e.entity_id)

select entity_id from entities union select subject_id from opinions

select bit_count(xor(1, 2))

select histogram(width) from entities_wide

select arg_max(label, votes), first(label), any_value(label), string_agg(label, ',') from labels

select json_extract(recipe_json, '$.name'), recipe_json ->> '$.seed' from datasets

select len(regions), regions[1].label, list_filter(labels, x -> x <> 'a'), list_transform(labels, lambda x: upper(x)) from opinions

select map_keys(probs), cardinality(probs), list_sum(map_values(probs)), map_entries(probs) from opinions

select extract(year from captured_at), year(captured_at), epoch(captured_at), strftime(captured_at, '%Y') from entities

select lag(a) over (order by b), ntile(4) over (order by b), rank() over (order by b), percent_rank() over (order by b) from entities_wide

select approx_count_distinct(entity_id), approx_quantile(width, 0.5), count(distinct width) from entities_wide

select bool_and(is_animated), bool_or(is_animated), mode(format), entropy(format), mad(width), kurtosis(width), skewness(width) from entities_wide

select try_cast(a as int), a::varchar, md5(a), sha256(a) from entities_wide

from entities

from entities select count(*)

select * from entities where name ilike '%x%' or name similar to 'x' or name glob '*.png'

select array_length(labels), list_contains(labels, 'x'), labels[1], list_slice(labels, 1, 2), labels[1:2], list_sort(labels), list_distinct(labels), flatten([labels]) from opinions

select e.entity_id from entities e left join labels l on l.subject_id = e.entity_id and l.rank = 1 where l.label is null

select sum(votes) over (partition by subject_id) from opinions

select * from entities order by size_bytes desc nulls last limit 5 offset 2

select levenshtein(a, b), jaro_winkler_similarity(a, b), hamming(a, b), jaccard(a,b) from entities_wide

select count(*) from entities cross join labels

select list_cosine_similarity([1.0], [2.0]), list_dot_product([1],[2])

select grouping(a), a from entities_wide group by rollup(a)

select min(captured_at) + interval 3 day from entities

select age(captured_at, captured_at), date_diff('day', captured_at, captured_at) from entities

select isnan(brightness), isinf(brightness) from entities_wide

select * from (values (1, 'a'), (2, 'b')) t(x, y)

select * from (select unnest(labels) as label from opinions) group by all
