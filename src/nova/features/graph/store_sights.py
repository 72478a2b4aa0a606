"""SQL that tells who may see whose posts."""

# Of each pair, what lies between the first, who looks, and the second, who is looked at.
SEEN = """
select w.viewer, w.other, o.private,
       exists (select from graph.follows f
                where f.follower = v.number and f.followee = o.number) as follows,
       exists (select from graph.ties t where t.person = o.number and t.other = v.number
                  and t.kind = 'close_friend') as close_friend,
       exists (select from graph.ties t where t.kind = 'block'
                  and ((t.person = o.number and t.other = v.number)
                    or (t.person = v.number and t.other = o.number))) as separated,
       exists (select from graph.ties t where t.kind = 'block'
                  and t.person = v.number and t.other = o.number) as blocks,
       exists (select from graph.ties t where t.person = v.number and t.other = o.number
                  and t.kind = 'mute' and (t.until is null or t.until > $3)) as muted
  from unnest($1::uuid[], $2::uuid[]) as w (viewer, other)
  join graph.people o on o.user_id = w.other
  left join graph.people v on v.user_id = w.viewer
"""

FOLLOWEES = """
select p.user_id from graph.people me
  join graph.follows f on f.follower = me.number
  join graph.people p on p.number = f.followee
 where me.user_id = $1 order by f.since desc, f.followee desc limit $2
"""

# Whom a block of either side, or a mute of the one who looks, hides.
APART = """
select o.user_id from graph.people v
  join lateral (
    select other as number from graph.ties
     where person = v.number
       and (kind = 'block' or (kind = 'mute' and (until is null or until > $2)))
     union
    select person from graph.ties where other = v.number and kind = 'block'
  ) t on true
  join graph.people o on o.number = t.number
 where v.user_id = $1 limit $3
"""

# Whom more than $2 follow is not told of by name.
FOLLOWERS = """
select a.user_id as author, a.followers > $2 as is_wide, array(
    select v.user_id from graph.follows f join graph.people v on v.number = f.follower
     where f.followee = a.number and a.followers <= $2) as followers
  from graph.people a where a.user_id = any($1::uuid[])
"""

# From the viewers' side: they are few, and an author may have a million followers.
AUDIENCE = """
select v.user_id as viewer, a.user_id as author
  from graph.people v cross join graph.people a
  join graph.follows f on f.follower = v.number and f.followee = a.number
 where v.user_id = any($2::uuid[]) and a.user_id = any($1::uuid[])
"""
