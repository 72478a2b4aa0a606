-- Ids of Nova's own events begin with nova: from now on, which no id of the host app does. So do those
-- of before: of a notification that stands on something of Nova's, and of what is suppressed where
-- all that such an id names agrees with the row.
update backbone.intake a set id = 'nova:' || a.id
  from notifications.inbox i
 where i.id = a.record and i.subject_kind is not null and a.id not like 'nova:%';

update backbone.intake a set id = 'nova:' || a.id
  from notifications.suppressed s
 where s.id = a.record and s.event_id = a.id and s.user_id is not null
   and s.event_id ~ ('^(follow|follow_request|follow_approved|(like|comment|reply|mention):[0-9a-f-]{36})'
                     || ':[0-9a-f-]{36}:' || s.user_id || '$')
   and split_part(s.event_id, ':', 1) = s.type;

update notifications.inbox set event_id = 'nova:' || event_id
 where subject_kind is not null and event_id not like 'nova:%';

update notifications.suppressed set event_id = 'nova:' || event_id
 where user_id is not null
   and event_id ~ ('^(follow|follow_request|follow_approved|(like|comment|reply|mention):[0-9a-f-]{36})'
                   || ':[0-9a-f-]{36}:' || user_id || '$')
   and split_part(event_id, ':', 1) = type;

update notifications.gathered set event_id = 'nova:' || event_id
 where event_id ~ '^like:[0-9a-f-]{36}:[0-9a-f-]{36}:[0-9a-f-]{36}$';
