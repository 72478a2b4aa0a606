-- Whoever wants a table for itself alone stops everybody behind it while it waits: it gives up before
-- those behind it do (`postgres.lock_timeout_s`), and is tried again.
-- Makes the partitions of today (UTC) and of `ahead` days more; returns how many it made.
-- A day that already has rows in the default partition stays there.
create or replace function backbone.make_partitions(ahead integer) returns integer
language plpgsql as $$
declare
    first timestamp := date_trunc('day', now() at time zone 'UTC');
    day timestamp;
    name text;
    made integer := 0;
begin
    set local lock_timeout = '100ms';
    perform pg_advisory_xact_lock(hashtext('backbone.event_log'));
    for n in 0..ahead loop
        day := first + n * interval '1 day';
        name := 'event_log_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass('backbone.' || name) is not null;
        continue when exists (
            select from backbone.event_log_default
            where at >= day at time zone 'UTC' and at < (day + interval '1 day') at time zone 'UTC'
        );
        execute format(
            'create table backbone.%I partition of backbone.event_log for values from (%L) to (%L)',
            name,
            to_char(day, 'YYYY-MM-DD') || ' 00:00+00',
            to_char(day + interval '1 day', 'YYYY-MM-DD') || ' 00:00+00'
        );
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Drops the partitions that ended before `keep` ago. One that a consumer of a living process has not
-- read to its end is kept, since dropping it would lose events.
create or replace function backbone.drop_partitions(keep interval, out dropped text[], out kept text[])
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
                select from backbone.processes p cross join unnest(p.consumers) as heard (consumer)
                left join backbone.cursors c on c.consumer = heard.consumer
                where c.consumer is null or (c.xact, c.position) < (
                    select xact, position from backbone.%I order by xact desc, position desc limit 1
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
