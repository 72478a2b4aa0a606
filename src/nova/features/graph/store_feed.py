"""SQL that fills the graph index."""

LAST = "select coalesce(max(number), 0) from graph.people"

SIZE = "select count(*) as people, coalesce(sum(following), 0)::bigint as follows from graph.people"

EDGES = """
select p.number, p.followers, f.followees
  from graph.people p left join (
    select follower, array_send(array_agg(followee order by since, followee)) as followees
      from graph.follows where follower > $1 and follower <= $2 group by follower
  ) f on f.follower = p.number
 where p.number > $1 and p.number <= $2
"""

# Facts say which pairs to look at anew: what is read now is never older than the fact.
NOW = """
select one.number as follower, other.number as followee,
       exists (select from graph.follows f
                where f.follower = one.number and f.followee = other.number) as follows
  from unnest($1::uuid[], $2::uuid[]) as w (follower, followee)
  join graph.people one on one.user_id = w.follower
  join graph.people other on other.user_id = w.followee
"""
