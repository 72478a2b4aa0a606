-- What was signalled lately, so that a process whose LISTEN hears nothing finds it by looking.
create table backbone.signals (
    number bigint generated always as identity (cache 64),
    xact xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    payload text not null           -- JSON: pairs of a name and what it says
);
create index signals_order on backbone.signals (xact);
create index signals_by_age on backbone.signals (at);

-- As before; signals of another cluster's transactions are of no use to anybody.
create or replace function backbone.rebase() returns boolean
language plpgsql as $$
declare
    future xid8 := pg_snapshot_xmax(pg_current_snapshot());
begin
    delete from backbone.signals where xact >= future;
    if not exists (select from backbone.event_log where xact >= future)
        and not exists (select from backbone.cursors where xact >= future)
    then
        return false;
    end if;
    lock table backbone.event_log, backbone.cursors in access exclusive mode;
    future := pg_snapshot_xmax(pg_current_snapshot());
    create temporary table ranks on commit drop as
        select id, xact, position, row_number() over (order by xact, position) as rank
        from backbone.event_log;
    update backbone.cursors c set xact = '1', fence = nextval('backbone.fences'), position = (
        select count(*) from ranks r where (r.xact, r.position) <= (c.xact, c.position)
    );
    update backbone.event_log l set xact = '1', position = r.rank
    from ranks r where r.id = l.id and r.position = l.position;
    update backbone.publications set xact = '1';
    return true;
end
$$;
