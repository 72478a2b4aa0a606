"""SQL that tells which relations still hold."""

# Of each pair, whether a block of either side separates them. Both look-ups are by the first
# column of an index, and most people have not blocked anybody.
SEPARATED = """
select w.one, w.other
  from unnest($1::uuid[], $2::uuid[]) as w (one, other)
  join graph.people a on a.user_id = w.one
  join graph.people b on b.user_id = w.other
 where exists (select from graph.ties t where t.kind = 'block'
                  and ((t.person = a.number and t.other = b.number)
                    or (t.person = b.number and t.other = a.number)))
"""

# Of each pair, whether the first follows the second, or has asked to.
FOLLOWING = """
select w.follower, w.followee,
       exists (select from graph.follows f
                where f.follower = a.number and f.followee = b.number) as follows,
       exists (select from graph.ties t where t.kind = 'request'
                  and t.person = a.number and t.other = b.number) as asks
  from unnest($1::uuid[], $2::uuid[]) as w (follower, followee)
  join graph.people a on a.user_id = w.follower
  join graph.people b on b.user_id = w.followee
"""
