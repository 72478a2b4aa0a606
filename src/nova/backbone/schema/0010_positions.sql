-- Positions in the log are text that nothing but the log reads. A consumer has a cursor for each
-- partition of each topic; those of before, for all topics together, have the topic ''.
create function backbone.xact_of(place text) returns xid8
language sql immutable parallel safe
return coalesce(nullif(split_part(place, '/', 1), ''), '0')::xid8;

create function backbone.number_of(place text) returns bigint
language sql immutable parallel safe
return coalesce(nullif(split_part(place, '/', 2), ''), '0')::bigint;

alter table backbone.cursors rename column position to number;
alter table backbone.cursors
    add column topic text collate "C" not null default '',
    add column position text collate "C" not null default '';
update backbone.cursors set position = xact || '/' || number;
alter table backbone.cursors
    drop constraint cursors_pkey,
    drop column xact,
    drop column number,
    alter column topic drop default,
    add primary key (consumer, topic, partition);

alter table backbone.retries alter column position type text using xact || '/' || position;
alter table backbone.retries drop column xact;
alter table backbone.dead_letters alter column position type text using xact || '/' || position;
alter table backbone.dead_letters drop column xact;

-- Topics are lanes of their own: who reads one passes over nothing of another.
create index event_log_by_topic on backbone.event_log (topic, xact, position);
drop index backbone.event_log_order;

-- Which topics each consumer of a process hears: "consumer topic".
alter table backbone.processes add column topics text[] not null default '{}';

-- As before, by topic: what a consumer no longer hears is kept for nobody.
create or replace function backbone.drop_partitions(
    keep interval, out dropped text[], out kept text[]
)
language plpgsql as $$
declare
    name text;
    late boolean;
begin
    set local lock_timeout = '100ms';
    perform pg_advisory_xact_lock(hashtext('backbone.event_log'));
    dropped := '{}';
    kept := '{}';
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'backbone.event_log'::regclass and c.relname ~ '^event_log_[0-9]{8}$'
            and (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp
                <= (now() - keep) at time zone 'UTC'
        order by c.relname
    loop
        execute format(
            'select exists (
                select from backbone.processes p cross join unnest(p.topics) as heard (topic)
                left join backbone.cursors c on c.consumer || '' '' || c.topic = heard.topic
                where c.consumer is null or exists (
                    select from backbone.%I l where l.topic = c.topic and (l.xact, l.position)
                        > (backbone.xact_of(c.position), backbone.number_of(c.position))
                )
            )', name) into late;
        if late then
            kept := kept || name;
        else
            execute format('drop table backbone.%I', name);
            dropped := dropped || name;
        end if;
    end loop;
end
$$;

-- As before, with positions as text.
create or replace function backbone.rebase() returns boolean
language plpgsql as $$
declare
    future xid8 := pg_snapshot_xmax(pg_current_snapshot());
begin
    delete from backbone.signals where xact >= future;
    if not exists (select from backbone.event_log where xact >= future)
        and not exists (select from backbone.cursors where backbone.xact_of(position) >= future)
    then
        return false;
    end if;
    lock table backbone.event_log, backbone.cursors in access exclusive mode;
    future := pg_snapshot_xmax(pg_current_snapshot());
    create temporary table ranks on commit drop as
        select id, xact, position, row_number() over (order by xact, position) as rank
        from backbone.event_log;
    update backbone.cursors c set fence = nextval('backbone.fences'), position = '1/' || (
        select count(*) from ranks r
        where (r.xact, r.position) <= (backbone.xact_of(c.position), backbone.number_of(c.position))
    );
    update backbone.event_log l set xact = '1', position = r.rank
    from ranks r where r.id = l.id and r.position = l.position;
    update backbone.publications set xact = '1';
    return true;
end
$$;

-- As before, with cursors by topic, each with a position of its own.
drop function backbone.take_offsets(
    text, text, bigint, text, bigint, smallint[], text[], bigint[]
);

create function backbone.take_offsets(
    new_epoch text,
    of_consumer text, of_topic text, under_fence bigint, partitions smallint[], positions text[],
    channels text[], counts bigint[]
) returns table (id bigint, channel text, epoch text, top bigint)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    moved integer;
begin
    if partitions is not null then
        update backbone.cursors c set position = w.position
        from unnest(partitions, positions) as w (partition, position)
        where c.consumer = of_consumer and c.topic = of_topic and c.fence = under_fence
            and c.partition = w.partition;
        get diagnostics moved = row_count;
        if moved <> cardinality(partitions) then
            raise exception 'another owner has these partitions' using errcode = 'NV001';
        end if;
    end if;
    return query
    insert into backbone.channels as c (channel, epoch, top)
    select w.channel, new_epoch, w.count from unnest(channels, counts) as w (channel, count)
    order by w.channel collate "C"
    on conflict (channel) do update set top = c.top + excluded.top,
        due = case when (c.top + excluded.top) / 64 > c.top / 64
            then least(c.due, now()) else c.due end
    returning c.id, c.channel, c.epoch, c.top;
end
$$;

drop function backbone.publish(
    text, bigint, text, bigint, text, bigint, smallint[], text[], bytea[], bytea[]
);

create function backbone.publish(
    new_epoch text, by_writer bigint,
    of_consumer text, of_topic text, under_fence bigint, partitions smallint[], positions text[],
    channels text[], datas bytea[], infos bytea[]
) returns table (channel text, epoch text, number bigint, data bytea, at_ms bigint)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    published_at bigint := extract(epoch from now()) * 1000;
begin
    return query
    with said as materialized (
        select w.*, row_number() over (partition by w.channel order by w.place desc) - 1 as behind
        from unnest(channels, datas, infos) with ordinality as w (channel, data, info, place)
    ), raised as materialized (
        select o.* from (
            select array_agg(s.channel) as channels, array_agg(s.count) as counts
            from (select channel, count(*) as count from said group by channel) s
        ) s, backbone.take_offsets(
            new_epoch, of_consumer, of_topic, under_fence, partitions, positions,
            s.channels, s.counts
        ) o
    ), placed as materialized (
        select r.id, channel, r.epoch, r.top - s.behind as number, s.data, s.info, s.place
        from said s full join raised r using (channel)
    ), written as (
        insert into backbone.publications (channel_id, number, writer, data, info)
        select p.id, p.number, by_writer, p.data, p.info from placed p
    )
    select p.channel, p.epoch, p.number, p.data, published_at
    from placed p order by p.place;
end
$$;
