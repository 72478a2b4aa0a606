"""SQL of blocks and mutes."""

# Of each pair, what the first has against the second; and whether the first has anything
# against anybody at all, which is what can be remembered. In subqueries, the lists are no reason
# for PostgreSQL to plan anew each time.
ASK = """
select w.owner, w.other,
       array(select t.kind from graph.ties t join graph.people o on o.number = t.other
              where t.person = p.number and o.user_id = w.other and t.kind in ('block', 'mute')
                and (t.until is null or t.until > $3)) as kinds,
       exists (select from graph.ties t
                where t.person = p.number and t.kind in ('block', 'mute')) as silences
  from unnest((select $1::uuid[]), (select $2::uuid[])) as w (owner, other)
  join graph.people p on p.user_id = w.owner
"""
