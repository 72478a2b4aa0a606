-- What the attempt under way says was taken back since, in part, or names somebody else now.
alter table deliveries.deliveries add column outdated boolean not null default false;
