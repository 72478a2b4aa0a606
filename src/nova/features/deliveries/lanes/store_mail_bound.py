"""SQL of the bound on mails to one person."""

# Of each person so many ask to go ($2), and so many go in any case ($3): how many may. All in one
# statement, as mails mostly go out one by one. $4 `*mail`, $5 now, $6 seconds apart, $7 at once.
TAKE = """
with asked as (
    select * from unnest($1::uuid[], $2::int[], $3::int[]) as a (user_id, wanted, anyway)
), entered as (
    insert into deliveries.throttles (user_id, type, at, taken)
    select user_id, $4, $5::timestamptz
           + least(3600, (least(wanted, $7::int) + anyway) * $6::float8) * interval '1 second',
           least(wanted, $7::int)
      from asked order by user_id
        on conflict (user_id, type) do nothing
    returning user_id, taken
), locked as (
    select t.user_id, extract(epoch from t.at - $5)::float8 as ahead_s
      from deliveries.throttles t join asked using (user_id)
     where t.type = $4 order by t.user_id for update of t
), let as (
    select user_id, wait_s, anyway,
           least(wanted, floor((3600 - wait_s) / $6::float8 + 1e-6))::int as taken
      from asked join (
        select user_id, case when ahead_s between 0 and $8::float8 then ahead_s else 0 end as wait_s
          from locked) l using (user_id)
), charged as (
    update deliveries.throttles t
       set taken = let.taken,
           at = $5::timestamptz + interval '1 second'
              * least(3600, wait_s + (let.taken + anyway) * $6::float8)
      from let where t.user_id = let.user_id and t.type = $4
    returning t.user_id, t.taken
)
select * from entered union all select * from charged
"""

STATE = "select at from deliveries.throttles where user_id = $1 and type = $2"

# No attempt was made, so none is counted. What was taken back meanwhile stays under its lease.
HOLD = """
with held as (
    update deliveries.deliveries d
       set phase = 'held', reason = $4, rule = $5, due = t.due, leased_until = null,
           attempts = d.attempts - 1, tries = d.tries - 1
      from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) as t (id, fence, due)
     where d.id = t.id and d.fence = t.fence and d.cancelled is null
    returning d.id, d.attempts + 1 as number
)
delete from deliveries.attempts a using held where a.delivery = held.id and a.number = held.number
"""
