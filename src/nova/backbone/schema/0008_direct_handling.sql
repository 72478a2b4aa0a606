-- The consumer that handled a record in the transaction that appended it; its readers pass over it.
alter table backbone.event_log add column heard_by text collate "C";

-- Returns the consumer. Objects with NV002 while other processes are alive, or when this one may have
-- been taken for dead, so that others may have come and gone: what they appended may wait in the
-- log, and comes first.
create function backbone.heard_directly(consumer text, process bigint) returns text
language plpgsql as $$
begin
    if not exists (select from backbone.processes p where p.id = process and p.expires > now())
            or exists (select from backbone.processes p where p.id <> process and p.expires > now())
    then
        raise exception 'this is not the only process' using errcode = 'NV002';
    end if;
    return consumer;
end
$$;
