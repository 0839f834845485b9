select * from read_csv('/etc/passwd')

select * from read_csv_auto('/etc/passwd')

select * from read_parquet('x')

select * from read_json('/etc/passwd')

select * from read_json_auto('/etc/passwd')

select * from read_text('/etc/passwd')

select * from read_blob('/etc/passwd')

select content from read_text('/etc/passwd')

select * from glob('/etc/*')

select * from '/etc/passwd'

select * from "/etc/passwd"

select * from '/etc/passwd.csv'

from '/etc/passwd.csv'

from read_text('/etc/passwd')

select * from delta_scan('/x')

select * from parquet_metadata('x')

select * from parquet_schema('x')

select * from parquet_scan('x')

select * from sniff_csv('/etc/passwd')

select * from query('select 1')

select * from query_table('entities')

select * from duckdb_settings()

select * from duckdb_secrets()

select * from pragma_table_info('entities')

select * from duckdb_tables

select * from information_schema.tables

select * from pg_catalog.pg_tables

select * from sqlite_master

select * from main.entities

select * from memory.main.entities

select * from system.information_schema.tables

select * from temp.entities

copy entities to '/tmp/x'

copy (select 1) to '/tmp/x.csv'

copy entities from '/tmp/x'

attach '/tmp/x.db'

attach ':memory:' as a

detach memory

use memory

pragma database_list

pragma version

set memory_limit='1TB'

set enable_external_access = true

reset memory_limit

install httpfs

load httpfs

force install x

export database '/tmp/x'

import database '/tmp/x'

create table x as select 1

create view entities as select 1

create macro f() as 1

create secret (type s3)

insert into entities values (1)

update entities set a = 1

delete from entities

drop table entities

drop view entities

truncate entities

alter table entities add column x int

call pragma_version()

checkpoint

vacuum

analyze

explain select 1

explain analyze select * from entities

show tables

prepare p as select 1

execute p

begin

commit

select 1; select 2

select 1; drop table entities

select * from entities; copy entities to '/tmp/x'

pivot entities on media_type using count(*)

select getenv('HOME')

select current_setting('memory_limit')

select set_config('a','b')

select pg_read_file('/etc/passwd')

select nextval('s')

select random()

select uuid()

select gen_random_uuid()

select now()

select current_timestamp

select today()

select current_date

select version()

select current_user

select current_database()

select current_schema()

select txid_current()

select setseed(0.5)

select pg_typeof(1)

select write_log('x')

select error('x')

select "read_text"('/etc/passwd')

select main.read_text('/etc/passwd')

select (select content from read_text('/etc/passwd'))

select * from entities where entity_id in (select content from read_text('/etc/passwd'))

with e as (select * from read_text('/etc/passwd')) select * from e

with entities as (select * from read_csv('x')) select * from entities

with duckdb_settings as (select 1) select * from duckdb_settings()

with x as materialized (select * from '/etc/passwd') select * from x

select * from entities, read_text('/etc/passwd')

select * from entities join lateral (select * from read_text('/etc/passwd')) t on true

select * from entities union all select * from read_text('/etc/passwd')

select * from entities except select * from '/etc/passwd'

select * from generate_series(1, 1000000000000)

select * from range(1000000000000)

select * from repeat('x', 10)

select * /* read_text */ from read_text('/etc/passwd')

select * from /**/ read_text('/etc/passwd')

select * from nothing

select * from Nothing.entities

select list_transform([1], x -> read_text('/etc/passwd'))

select list_transform([1], lambda x: getenv('HOME'))

select [getenv(x) for x in ['HOME']]

select * from entities order by getenv('HOME')

select * from entities limit (select count(*) from read_text('/etc/passwd'))

select count(*) over (order by getenv('x')) from entities

select * from entities using sample 10%

select * from entities tablesample reservoir(10)

select columns('.*') from duckdb_settings()

select * replace (getenv('x') as entity_id) from entities

select case when getenv('HOME') is null then 1 end

select cast(getenv('HOME') as int)

select getenv('HO' || 'ME')

select 'x'.getenv()

select ('HOME').getenv()

select sql_auto_complete('s')

select icu_collate_x('a')

select json_execute_serialized_sql('x')

from json_execute_serialized_sql('x')

select json_serialize_sql('select 1')

select parse_path('x')

select file_exists('x')

select hash(1)

select add_parquet_key('a','b')

select * from st_read('x')

select nextval('x')

select * from entities -- ;
; drop table entities

select * from entities /* ; */ ; copy entities to 'x'

show all tables

show

show databases

show schemas

describe read_csv('/etc/passwd')

describe select * from read_csv('/etc/passwd')

describe '/etc/passwd'

describe table '/etc/passwd'

summarize '/etc/passwd.parquet'

summarize select * from read_text('/etc/passwd')

summarize duckdb_settings()

select * from (show all tables)

select * from (describe '/etc/passwd')

select * from (summarize select getenv('HOME'))

select * from entities pivot (count(*) for media_type in (select content from read_text('/etc/passwd')))

pivot entities on media_type in ('a') using count(getenv('HOME'))

pivot (select * from '/etc/passwd') on a in (1) using count(*)

select * from '/etc/passwd' unpivot (v for n in (a))

unpivot read_csv('/etc/passwd') on a into name n value v

select * from silver.entities at (version => (select count(*) from read_text('/etc/passwd')))

select * from silver.entities at (timestamp => now())

select * from system.information_schema.tables

select * from temp.information_schema.columns

select * from "information_schema".character_sets

select * from information_schema.key_column_usage

select * from duckdb_views()

select * from duckdb_columns()

select * from which_secret('s3://a', 's3')

select * from duckdb_logs()

select * from duckdb_temporary_files()

select * from json_execute_serialized_sql(json_serialize_sql('select 1'))

select * from python_map_function(1, 2)

select * from arrow_scan(1, 2, 3)

select * from seq_scan('entities')

select * from pandas_scan(0)

select * from delta_silver_entities

select * from temp.delta_silver_entities

select "current_user"

select localtimestamp

select user

select current_catalog

select getvariable('x')

select current_query()

select stats(entity_id) from entities

select pg_sleep(100)

select sleep_ms(100000)

select list_transform([1], lambda x: random() + x)

select count(*) over (partition by random()) from entities

select entity_id from entities order by random() limit 1

select * from entities a asof join read_csv('/etc/passwd') b on a.x >= b.x

select * from entities positional join '/etc/passwd'

from (from read_text('/etc/passwd'))

table '/etc/passwd'

with recursive t as (select 1 as a union all select a + 1 from t, read_text('/etc/passwd')) from t

with t as (from '/etc/passwd') from entities, (with t as (select 1) from t)

select x from (values (getenv('HOME'))) t(x)

select columns(c -> getenv('HOME') = c) from entities

select map {'a': getenv('HOME')}

select {'a': getenv('HOME')}

select try(getenv('HOME'))

select $$x$$, getenv($$HOME$$)

select 1 limit (select length(content) from read_text('/etc/passwd'))

select * from entities qualify getenv('HOME') is null

select * from entities group by getenv('HOME')

select * from entities having getenv('HOME') = ''

select sum(size_bytes) filter (where getenv('HOME') is null) from entities

select list(entity_id order by getenv('HOME')) from entities

merge into entities using labels on true when matched then delete

with x as (delete from entities returning *) select * from x

pragma show_tables

set variable x = 1

create temp table x as select 1

comment on table entities is 'x'

explain select * from read_text('/etc/passwd')

explain copy (select 1) to '/tmp/x'

create dataset x as select * from read_text('/etc/passwd')

select * from read_text('/etc/passwd') sample by 1 key content seed 1 limit 1

select content as a, 1 as b from read_text('/etc/passwd') where true expand by 1, 1 order b

select content as a, 1 as b from read_text('/etc/passwd') group across b order a

select read_text('/etc/passwd') as a ungroup by a

select 1 as a where (select content from read_text('/etc/passwd')) <> '' expand by 1, 1 order a

select nd_load('/etc/passwd')

select nd_mean(x) from (select content as x from read_blob('/etc/passwd'))

select x[(select content from read_text('/etc/passwd')), 0] from (select [1] as x)

select * from other.silver.entities

select * from mart_nothing, read_text('/etc/passwd')

select * from petrel_catalogue.names

select * from petrel_at_0

select * from silver.entities@HEAD

select * from "silver.entities@HEAD"

select petrel_half('x', 1)

select torch(1)

select sql_function('x')

reset all

force install httpfs from '/tmp/x'

load '/tmp/x.duckdb_extension'

create or replace secret x (type s3)

attach 'postgres://localhost/x' as pg

copy entities from 's3://a/b.parquet'

export database '/tmp/x'

select * from read_parquet('https://example.invalid/x.parquet')

select * from 's3://a/b.parquet'

call pragma_version()

checkpoint
