-- What notifications from before stand on, by the ids of Nova's own events: where all that such an
-- id names agrees with the row, so that none is taken for one that the host app sent.
update notifications.inbox i
   set subject_kind = i.type, subject_item = i.actor_id, subject_within = i.actor_id,
       subject_owner = i.actor_id
 where i.type in ('follow', 'follow_request', 'follow_approved')
   and i.event_id = concat_ws(':', i.type, i.actor_id, i.user_id);

-- A new database has no posts yet, and nothing to tell of them.
do $$
begin
    if to_regclass('posts.posts') is null then
        return;
    end if;
    with own as (
        select i.id, i.type, i.metadata::jsonb ->> 'post' as post,
               i.metadata::jsonb ->> 'comment' as comment
          from notifications.inbox i
         where i.type in ('like', 'comment', 'reply', 'mention')
           and i.event_id = concat_ws(
                ':', i.type, split_part(i.event_id, ':', 2), i.actor_id, i.user_id)
           and split_part(i.event_id, ':', 2) = coalesce(
                i.metadata::jsonb ->> 'comment', i.metadata::jsonb ->> 'post')
           and i.related_entity_id = i.metadata::jsonb ->> 'post'
    )
    update notifications.inbox i
       set subject_kind = case own.type when 'reply' then 'comment' else own.type end,
           subject_item = coalesce(c.id, p.id), subject_within = p.id, subject_owner = p.author
      from own
      join posts.posts p on p.id::text = own.post
      left join posts.comments c on c.id::text = own.comment
     where i.id = own.id and (own.comment is null or c.id is not null);
end
$$;

insert into notifications.gathered (id, into_id, actor_id, event_id)
select s.id, i.id, u.id, s.event_id
  from notifications.suppressed s
  join notifications.inbox i on s.rule = 'burst of ' || i.id and i.subject_kind = 'like'
  join accounts.users u on u.id::text = split_part(s.event_id, ':', 3)
 where s.reason = 'joined' and s.event_id like 'like:%';
