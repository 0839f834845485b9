with recursive t(i) as (select 1 union all select i + 1 from t) select count(*) from t

with recursive t(i, s) as (select 1, 'x' union all select i + 1, s || s from t) select max(length(s)) from t

select count(*) from (select unnest(range(3000000)) as i) a, (select unnest(range(3000000)) as i) b, (select unnest(range(3000000)) as i) c where a.i + b.i + c.i = -1

select list(i) as all_of_them from (select unnest(range(2000000000)) as i)

select length(string_agg(md5(i::varchar), ',')) from (select unnest(range(100000000)) as i)

select i from (select md5(a.i::varchar) || b.i as i from (select unnest(range(1000000)) as i) a, (select unnest(range(1000)) as i) b) order by i desc limit 1 offset 999999

select length(repeat('a', 4000000000))

select len(range(3000000000))

select max(levenshtein(repeat('ab', 20000000), repeat('ba', 20000000)))

select regexp_matches(repeat('a', 50000000), '(a?){300}(a{1,300}){3}b')

select list_sum(list_transform(range(100000), lambda x: list_sum(list_transform(range(100000), lambda y: x * y))))

select length(to_json(list_transform(range(30000), lambda x: range(30000)))::varchar)

select sum(length(lpad('', 1000000000, 'x') || printf('%1000000000d', i))) from (select unnest(range(1000)) as i)

select a.i from (select unnest(range(100000000)) as i) a, (select unnest(range(100000000)) as i) b

select count(*) from (select distinct md5(a.i::varchar) || b.i from (select unnest(range(1000000)) as i) a, (select unnest(range(1000000)) as i) b)

select nd_size(nd_matmul(nd_reshape(nd_array(range(4000000)), [2000, 2000]), nd_reshape(nd_array(range(4000000)), [2000, 2000]))) from (select unnest(range(10000)) as i)

select nd_size(nd_add(nd_reshape(range(60000), [60000, 1]), nd_reshape(range(60000), [1, 60000])))

select nd_maxsim(nd_reshape(range(20000000), [10000000, 2]), nd_reshape(range(20000000), [10000000, 2]))

select max(len(nd_list(nd_slice(range(i), '::-1')))) from (select unnest(range(100000000)) as i)

select 1 as a sample by 1 with replacement key a seed 1 limit 100000000000

select g, i, a from (select 1 as g, unnest(range(30000)) as i, repeat('x', 100000) as a) group across g order i ungroup by i, a

select [unnest(range(30000))] as b, range(1000000) as a ungroup by a

select regexp_replace(repeat('ab', 20000000), '((a|b)*)*c', 'x', 'g') || i from (select unnest(range(1000)) as i)

select count(*) from silver.entities a, silver.entities b, silver.entities c, silver.entities d, silver.entities e, (select unnest(range(1000000000)) as i) f, (select unnest(range(1000000)) as i) g

explain analyze select count(*) from (select unnest(range(3000000)) as i) a, (select unnest(range(3000000)) as i) b where a.i + b.i = -1

select list_sort(list_transform(range(100000000), lambda x: md5(x::varchar)))[1]
