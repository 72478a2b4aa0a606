-- Pruning goes by an index of what is due, so that it costs what there is to do, and not what there
-- is. `due` is when a channel is to be looked at next: publications may then be past retention, or
-- the channel forgotten. A new channel is looked at soon, to learn what it keeps.
alter table backbone.channels
    add column due timestamptz not null default now(),
    add column emptied bigint;     -- the top at which it was last found without publications

create index channels_due on backbone.channels (due);

-- As before; but each 64th publication of a channel makes it due, since it may be longer than it
-- is kept. Other publications leave `due` as it is, and so cost no entry in an index.
create or replace function backbone.publish(
    new_epoch text, by_writer bigint,
    of_consumer text, under_fence bigint, to_xact text, to_position bigint, partitions smallint[],
    channels text[], datas bytea[], infos bytea[]
) returns table (channel text, epoch text, number bigint, data bytea, at_ms bigint)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    moved integer;
begin
    if partitions is not null then
        update backbone.cursors c set xact = to_xact::xid8, position = to_position
        where c.consumer = of_consumer and c.fence = under_fence and c.partition = any(partitions);
        get diagnostics moved = row_count;
        if moved <> cardinality(partitions) then
            raise exception 'another owner has these partitions' using errcode = 'NV001';
        end if;
    end if;
    return query
    with said as materialized (
        select w.*, row_number() over (partition by w.channel order by w.place desc) - 1 as behind
        from unnest(channels, datas, infos) with ordinality as w (channel, data, info, place)
    ), raised as (
        insert into backbone.channels as c (channel, epoch, top)
        select s.channel, new_epoch, count(*) from said s
        group by s.channel order by s.channel collate "C"
        on conflict (channel) do update set top = c.top + excluded.top,
            due = case when (c.top + excluded.top) / 64 > c.top / 64
                then least(c.due, now()) else c.due end
        returning c.id, c.channel, c.epoch, c.top
    ), placed as materialized (
        select r.id, channel, r.epoch, r.top - s.behind as number, s.data, s.info, s.place
        from said s full join raised r using (channel)
    ), written as (
        insert into backbone.publications (channel_id, number, writer, data, info)
        select p.id, p.number, by_writer, p.data, p.info from placed p
    )
    select p.channel, p.epoch, p.number, p.data, (extract(epoch from now()) * 1000)::bigint
    from placed p order by p.place;
end
$$;
