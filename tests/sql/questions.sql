select entity_id, media_type from entities where size_bytes > 3

select * from silver.entities

select silver.entities.entity_id from silver.entities where silver.entities.size_bytes >= 3

select t.a, t.b from (select entity_id, media_type from entities) as t(a, b)

select a, b from entities as t(a, b)

select distinct media_type, origin from entities

select distinct on (media_type) media_type, entity_id from entities order by media_type, entity_id

select count(*), count(distinct media_type), sum(size_bytes), avg(size_bytes), min(size_bytes), max(size_bytes) from entities

select media_type, count(*) as n from entities group by media_type having count(*) > 1 order by n desc

select media_type, origin, count(*) from entities group by all order by all

select * exclude (row_hash, created_at) from entities

select * replace (size_bytes * 2 as size_bytes) from entities

select * rename (size_bytes as bytes) from entities

select columns('.*_id') from entities

select columns(c -> c like '%bytes%') from entities

select min(columns(* exclude (group_keys))) from entities

select entity_id as "the id", size_bytes as "size ""in"" bytes" from entities

select "entity_id" from "silver"."entities"

select /* a comment */ 1 as one -- another

with big as (select * from entities where size_bytes > 3) select count(*) as n from big

with a as (select 1 as x), b as (select x + 1 as x from a) select * from a union all select * from b

with a as materialized (select entity_id from entities) select count(*) from a x join a y using (entity_id)

with recursive t(i) as (select 1 union all select i + 1 from t where i < 10) select sum(i) from t

with recursive t as (select 1 as n, 1 as f union all select n + 1, f * (n + 1) from t where n < 8) from t

with entities as (select * from entities where size_bytes > 3) select count(*) from entities

select row_number() over (order by entity_id) as place, entity_id from entities

select entity_id, sum(size_bytes) over (order by entity_id rows between 1 preceding and current row) from entities

select rank() over w, dense_rank() over w, lag(size_bytes) over w from entities window w as (partition by media_type order by entity_id)

select ntile(2) over (order by entity_id), percent_rank() over (order by size_bytes), cume_dist() over (order by size_bytes) from entities

select first_value(size_bytes ignore nulls) over (order by entity_id), nth_value(size_bytes, 2) over (order by entity_id) from entities

select sum(size_bytes) over (order by size_bytes range between 1 preceding and 1 following exclude current row) from entities

select * from entities qualify row_number() over (partition by media_type order by entity_id) = 1

select * from entities pivot (count(entity_id) for media_type in ('text/plain', 'image/png') group by origin)

select * from entities unpivot (v for n in (media_type, origin))

pivot (select media_type, origin, size_bytes from entities) on origin in ('real', 'synthetic') using sum(size_bytes) as bytes group by media_type

unpivot (select entity_id, media_type, origin from entities) on media_type, origin into name n value v

select * from entities unpivot include nulls (v for n in (parent_id, operation))

-- refused: PIVOT without its values
pivot entities on media_type using count(*)

select e.entity_id, l.label from entities e left join labels l on l.subject_id = e.entity_id

select * from (select 1 as a) x inner join (select 1 as a, 2 as b) y using (a)

select count(*) from entities natural join entities

select count(*) from entities a cross join entities b

select a.entity_id from entities a semi join labels l on l.subject_id = a.entity_id

select a.entity_id from entities a anti join labels l on l.subject_id = a.entity_id

select x.i, y.j from (select unnest([1, 2, 3]) as i) x positional join (select unnest([4, 5]) as j) y

select a.t, b.v from (values (1), (5), (9)) a(t) asof join (values (0, 'x'), (4, 'y')) b(t, v) on a.t >= b.t

select * from (values (1, 'a'), (2, 'b')) v(n, s) full outer join (values (2, 'c')) w(n, s2) on v.n = w.n

select e.entity_id, x.twice from entities e, lateral (select e.size_bytes * 2 as twice) x

select e.entity_id, k from entities e, unnest(map_keys(e.group_keys)) as u(k)

select unnest([1, 2, 3]) as i

select unnest({'a': 1, 'b': {'c': 2}}, recursive := true)

select n from unnest([1, 2]) as t(n)

values (1, 'a'), (2, 'b')

select * from (values (1, 'a'), (2, 'b')) t(n, s)

table labels

from entities select count(*)

from labels

select label, list(subject_id order by subject_id) from labels group by label

select list_transform([1, 2, 3], lambda x: x * 2), list_filter([1, 2, 3], lambda x: x > 1), list_reduce([1, 2, 3], lambda a, b: a + b)

select [x * 2 for x in [1, 2, 3] if x > 1]

select list_sort([3, 1, 2], 'desc'), list_reverse_sort([1, 2]), list_distinct([1, 1]), list_unique([1, 1]), list_contains([1], 1), list_position([1, 2], 2)

select [1, 2, 3][1], [1, 2, 3][-1], [1, 2, 3][1:2], 'abc'[2], 'abc'[1:2]

select list_aggregate([1, 2], 'sum'), list_sum([1, 2]), list_avg([1, 2]), list_zip([1], [2]), flatten([[1], [2]]), array_to_string([1, 2], '-')

select range(5), generate_series(1, 5), range(timestamp '2026-01-01', timestamp '2026-01-03', interval 1 day)

-- refused: select unnest(range(1, 10))
select * from range(5)

-- refused: select unnest(generate_series(1, 10))
select * from generate_series(1, 5) as t(i)

select {'a': 1, 'b': 'x'}.a, struct_pack(a := 1), row(1, 'x'), struct_insert({'a': 1}, b := 2)

select s.* from (select {'a': 1, 'b': 2} as s)

select map {'a': 1}['a'], map_keys(map {'a': 1}), map_values(map {'a': 1}), cardinality(map {'a': 1}), map_from_entries([('a', 1)])

select element_at(group_keys, 'session'), group_keys['session'] from entities

select union_value(k := 1), typeof(1), 1::varchar, cast('2' as integer), try_cast('x' as int), '1'::decimal(10, 2)

select [1, 2]::double[], {'a': 1}::struct(a varchar), array_value(1.0, 2.0), [1.0, 2.0]::float[2]

select date '2026-01-31' + interval 1 month, timestamp '2026-01-01 10:00:00' - timestamp '2026-01-01', date_diff('day', date '2026-01-01', date '2026-02-01')

select date_trunc('month', created_at), date_part('year', created_at), extract(dow from created_at), year(created_at), strftime(created_at, '%Y-%m') from entities

select strptime('2026-01-02', '%Y-%m-%d'), try_strptime('x', '%Y'), to_timestamp(0), epoch(timestamp '2026-01-01'), epoch_ms(0), make_date(2026, 1, 2)

select time_bucket(interval 1 week, timestamp '2026-01-15'), last_day(date '2026-02-01'), dayname(date '2026-01-01'), monthname(date '2026-01-01'), age(timestamp '2026-02-01', timestamp '2026-01-01')

select timestamptz '2026-01-01 00:00:00+00' at time zone 'Europe/Berlin', to_days(3), interval '1 day 2 hours', interval (1 + 1) hour

select count(*) from entities where created_at between '2020-01-01' and '2030-01-01'

-- refused: does not depend on the tables alone
select current_date, created_at from entities

-- refused: function now
select now()

-- refused: age of one time
select age(created_at) from entities

select upper('é'), lower('A'), length('été'), strlen('été'), reverse('abc'), initcap from (select 'x' as initcap)

select 'a' || 'b', concat('a', null, 'b'), concat_ws('-', 'a', 'b'), lpad('a', 3, '*'), rpad('a', 3, '*'), repeat('ab', 2), replace('aba', 'a', 'c'), translate('abc', 'ab', 'xy')

select substring('abcdef' from 2 for 3), left('abc', 2), right('abc', 2), trim('  a '), ltrim('xa', 'x'), position('b' in 'abc'), instr('abc', 'c'), split_part('a/b', '/', 2), string_split('a,b', ',')

select format('{} and {}', 1, 'x'), printf('%05d', 42), chr(65), ascii('A'), hex('a'), to_base64('abc'::blob), md5('a'), sha256('a'), bar(2, 0, 4, 10)

select starts_with('abc', 'a'), ends_with('abc', 'c'), contains('abc', 'b'), 'abc' ^@ 'a', 'abc' like 'a%', 'abc' ilike 'A%', 'abc' not like 'x%', 'a%' like 'a!%' escape '!', 'abc' glob 'a*', 'abc' similar to 'a.c'

select regexp_matches('abc', 'b.'), regexp_extract('a1b22', '[0-9]+'), regexp_extract_all('a1b22', '[0-9]+'), regexp_replace('abc', 'b', 'x', 'g'), regexp_full_match('abc', 'a.c'), 'abc' ~ 'a.c', string_split_regex('a1b2', '[0-9]')

select regexp_extract('2026-01', '(\d+)-(\d+)', ['y', 'm'])

select levenshtein('kitten', 'sitting'), damerau_levenshtein('ab', 'ba'), jaccard('abc', 'abd'), jaro_similarity('a', 'b'), jaro_winkler_similarity('ab', 'ab'), hamming('abc', 'abd'), editdist3('a', 'b')

select json_extract('{"a": [1, 2]}', '$.a[0]'), '{"a": {"b": 1}}'::json -> 'a' ->> 'b', json_extract_string('{"a": "x"}', '$.a'), json_keys('{"a": 1}'), json_array_length('[1, 2]'), json_type('1'), json_valid('{')

select recipe_json ->> '$.name' from datasets

select to_json({'a': 1}), json_object('a', 1), json_array(1, 'x'), json_group_array(label), json_structure('{"a": 1}') from labels

select from_json('{"a": 1}', '{"a": "INTEGER"}'), json_merge_patch('{"a": 1}', '{"b": 2}'), json('{ "a" : 1 }'), json_exists('{"a": 1}', '$.a'), json_value('{"a": 1}', '$.a')

select key, value from json_each('{"a": 1, "b": 2}')

select quantile_cont(size_bytes, 0.5), quantile_disc(size_bytes, [0.25, 0.75]), median(size_bytes), approx_quantile(size_bytes, 0.5), mode(media_type), percentile_cont(0.5) within group (order by size_bytes) from entities

select stddev(size_bytes), var_pop(size_bytes), corr(size_bytes, size_bytes), regr_slope(size_bytes, size_bytes), skewness(size_bytes), kurtosis(size_bytes), entropy(media_type), mad(size_bytes) from entities

select count(*) filter (where size_bytes > 3), sum(size_bytes) filter (size_bytes > 3), count_if(size_bytes > 3) from entities

select string_agg(media_type, ',' order by entity_id), group_concat(origin), array_agg(size_bytes order by size_bytes desc), first(entity_id order by entity_id), any_value(origin) from entities

select arg_max(entity_id, size_bytes), arg_min(entity_id, size_bytes, 2), max_by(entity_id, size_bytes), max(size_bytes, 2), histogram(media_type), bool_and(true), bit_xor(1), product(2), approx_count_distinct(entity_id) from entities

select media_type, origin, count(*), grouping(media_type) from entities group by grouping sets ((media_type), (origin), ()) order by all

select media_type, origin, count(*) from entities group by cube (media_type, origin) order by all

select media_type, origin, grouping_id(media_type, origin) from entities group by rollup (media_type, origin) order by all

select entity_id from entities intersect select subject_id from labels

select entity_id from entities except select subject_id from labels

select 1 as a union select 2 union all select 2 order by a

select 1 as a, 2 as b union by name select 3 as b, 4 as c

select [1, 1, 2] as a intersect all select [1, 1, 2]

select * from entities order by size_bytes desc nulls last, entity_id limit 2 offset 1

select entity_id from entities order by entity_id limit 50%

select entity_id from entities order by #1 limit (select 2)

-- refused: SAMPLE is not allowed
select * from entities using sample 10%

-- refused: SAMPLE is not allowed
select * from entities tablesample reservoir(2)

-- refused: AT (VERSION => ...) is not allowed
select count(*) as n from silver.entities at (version => 0)

-- refused: AT (TIMESTAMP => ...) is not allowed
select * from entities e at (timestamp => timestamp '2026-01-01')

select case when size_bytes > 3 then 'big' when size_bytes is null then '?' else 'small' end, case origin when 'real' then 1 end from entities

select coalesce(parent_id, 'none'), nullif(origin, 'real'), ifnull(parent_id, ''), if(size_bytes > 3, 1, 0), greatest(1, 2), least(1, 2) from entities

select 1 is distinct from null, null is not distinct from null, not true, true and null, 1 between 0 and 2, 3 not in (1, 2), null isnull

select 7 // 2, 7 % 2, 2 ** 3, 2 ^ 3, -7 / 2, 5 & 3, 5 | 3, 1 << 4, xor(1, 2), ~1, abs(-1), round(2.567, 1), floor(1.5), ceil(1.5), trunc(1.5), sign(-2), 5!

select sqrt(4), cbrt(8), ln(1), log10(100), log2(8), exp(0), power(2, 3), pi(), sin(0), atan2(0, 1), degrees(pi()), gcd(4, 6), lcm(4, 6), factorial(5), isnan('nan'::double), bit_count(7), even(3)

select 1_000, 0xff, 1e3, .5, 'it''s', e'a\tb', $$dollars $x$$, x'ab', true, null

select * from entities where entity_id in (select subject_id from labels) and exists (select 1 from labels l where l.subject_id = entities.entity_id)

select (select max(size_bytes) from entities) as most, size_bytes = any (select size_bytes from entities), size_bytes >= all (select size_bytes from entities) from entities

select e.entity_id, (select count(*) from labels l where l.subject_id = e.entity_id) as n from entities e

select size_bytes as s, s * 2 as twice, twice + 1 as more from entities where twice > 6

select entity_id from entities e where (media_type, origin) = ('text/plain', 'real') and (e.size_bytes, 1) in ((3, 1))

select count(*) from entities where petrel_bucket(entity_id, 7) % 2 = 0

select $text as a, $whole + 1 as b, $part as c, -$whole as d, '$text' as e, $whole::varchar as f

select entity_id from entities where size_bytes >= $whole limit $whole

describe entities

describe select entity_id, size_bytes * 2 as twice from silver.entities

desc labels

show labels

summarize entities

summarize select size_bytes from entities

select column_name from (describe entities) order by 1

select count(*) from (from entities);

select t.user from (select 1 as user) t

select 'x' collate nocase = 'X', 'b' < 'a' collate nocase

select entity_id from entities fetch first 2 rows only

select try(1 / 0), constant_or_null(1, 2), date_add(date '2026-01-01', interval 1 day), days_in_month(date '2026-02-01')

select a.x, b.x from (select 1 as x) a, (select 2 as x) b where a.x < b.x

select sum(n) from (select 1 as n union all (select 2 order by 1 limit 1))
