-- Which files of the serving index may be used: those written from this database, not from one
-- that it was restored over. A row that came with a dump has another xmin than it had.
create table graph.kept (
    id uuid primary key,
    at timestamptz not null
);
