"""SQL that plans deliveries, and releases those held back."""

RESERVE = """
insert into deliveries.throttles as t (user_id, type, at) values ($1, $2, $3::timestamptz + $4)
    on conflict (user_id, type) do update set at = greatest(t.at, $3) + $4
returning at
"""

# All of a person's together, so that they can be put together. Whose turn it is tells the index
# of what is due, read from its beginning. The second look at the time is written so that no index
# answers it: statistics from before the hour say that nothing is due, and with them PostgreSQL
# would read all that is due for every few people, 20 ms instead of one.
DUE = """
select d.id, d.notification, d.user_id, d.type, d.about, d.channel, d.target, d.phase, d.kind,
       d.critical, d.rule, d.title, d.locale
  from deliveries.deliveries d
 where d.user_id = any(array(
        select user_id from deliveries.deliveries
         where phase in ('held', 'standby') and due <= $1 and expires_at > $1
         order by due limit $2))
   and d.phase in ('held', 'standby') and (d.due <= $1) is true and d.expires_at > $1
 order by d.user_id, d.id
   for update skip locked
"""

# Returns those that go nowhere any more.
MOVE = """
with moved as (
    update deliveries.deliveries d
       set phase = t.phase, reason = t.reason, rule = coalesce(t.rule, d.rule), due = t.due,
           tries_from = coalesce(t.due, d.tries_from), into_id = t.into_id,
           summary_title = t.title, summary_body = t.body
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[],
                  $7::text[], $8::text[])
        as t (id, phase, reason, rule, due, into_id, title, body)
     where d.id = t.id
    returning d.*
)
select * from moved where phase = 'dropped'
"""
