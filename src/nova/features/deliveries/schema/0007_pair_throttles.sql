-- How far ahead one person is in what they may cause another to get; GCRA, as in throttles.
create table deliveries.pair_throttles (
    user_id uuid not null,
    actor_id uuid not null,
    type text collate "C" not null,
    at timestamptz not null,
    primary key (user_id, actor_id, type)
);
create index pair_throttles_by_actor on deliveries.pair_throttles (actor_id);
