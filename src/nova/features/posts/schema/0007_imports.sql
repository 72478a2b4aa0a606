-- The number of imports of follows: a feed from before the last one is built anew when it is read.
-- An import wrote to every feed in one statement before.

alter table posts.wideness add column imports bigint not null default 0;
alter table posts.homes add column imports bigint not null default 0;
