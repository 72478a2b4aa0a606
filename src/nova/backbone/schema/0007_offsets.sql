-- Gives channels so many further offsets each, and returns the newest ones. A function of its own, so
-- that a statement that makes what it publishes can write its publications itself, from what it has.
--
-- A consumer's cursors move along; `partitions` null moves none. Objects with NV001 when another
-- owner has them by now. `on conflict` locks the channels sorted: two publishers of the same ones
-- cannot wait for each other in a circle. Each 64th publication makes a channel due, see 0005.
create function backbone.take_offsets(
    new_epoch text,
    of_consumer text, under_fence bigint, to_xact text, to_position bigint, partitions smallint[],
    channels text[], counts bigint[]
) returns table (id bigint, channel text, epoch text, top bigint)
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
    insert into backbone.channels as c (channel, epoch, top)
    select w.channel, new_epoch, w.count from unnest(channels, counts) as w (channel, count)
    order by w.channel collate "C"
    on conflict (channel) do update set top = c.top + excluded.top,
        due = case when (c.top + excluded.top) / 64 > c.top / 64
            then least(c.due, now()) else c.due end
    returning c.id, c.channel, c.epoch, c.top;
end
$$;

-- As before, with the offsets from there.
create or replace function backbone.publish(
    new_epoch text, by_writer bigint,
    of_consumer text, under_fence bigint, to_xact text, to_position bigint, partitions smallint[],
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
            new_epoch, of_consumer, under_fence, to_xact, to_position, partitions,
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
