-- Erasures, from the request to the last trace. Who it was about stands here only until it is
-- complete; its digests tell, to somebody who knows an id of the person, how far it is.
create table accounts.erasures (
    id uuid primary key,
    user_id uuid unique,
    external_id text,
    addresses text[],               -- mail and devices
    by_id text not null,
    by_name text,
    requested_at timestamptz not null,
    erased_at timestamptz,          -- the user is gone; traces elsewhere go next
    step smallint not null default 0,
    place text not null default '', -- within the step
    complete_at timestamptz
);
create index erasures_by_id on accounts.erasures (by_id);
create index erasures_by_name on accounts.erasures (by_name) where by_name is not null;
create index erasures_open on accounts.erasures (id) where complete_at is null;
