-- For lists of what is archived, which may be little of much. A new notification has no entry.
create index inbox_archived on notifications.inbox (user_id, number) where archived_at is not null;
