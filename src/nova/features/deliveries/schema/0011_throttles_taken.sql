-- How many of those that were asked for last were let out.
alter table deliveries.throttles add column taken integer not null default 0;
