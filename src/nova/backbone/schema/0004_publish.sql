-- Gives each publication the next offset of its channel, in the order given. A function, so that
-- a statement that makes what it publishes can do so in the same round trip.
--
-- A consumer's cursors move along; `partitions` null moves none. Objects with NV001 when another
-- owner has them by now.
--
-- `on conflict` locks the channels sorted: two publishers of the same ones cannot wait for each
-- other in a circle. A full join, since it can only be a hash or a merge join: the planner takes the
-- publications for ten rows and would else compare all with all. One plan serves for ever: to
-- make one takes longer than to follow it.
create function backbone.publish(
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
        on conflict (channel) do update set top = c.top + excluded.top
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
