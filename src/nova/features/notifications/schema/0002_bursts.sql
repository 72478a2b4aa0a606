-- Events that ring together, such as likes of one post: while the first one's notification is
-- unread, others join it.
alter table notifications.inbox
    add column burst text,
    add column others integer not null default 0;

create index inbox_by_burst on notifications.inbox (user_id, burst)
 where burst is not null and read_at is null and archived_at is null;
