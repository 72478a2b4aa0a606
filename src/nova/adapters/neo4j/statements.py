"""Every statement that is sent to Neo4j; what varies is a parameter, always."""

# A person is a node, a follow is a relationship; `at` orders follows, in microseconds. One node
# says how far the index has been brought (`to` is set), or who fills it (`filler`).
SCHEMA = (
    """
create constraint nova_person_number if not exists
for (p:NovaPerson) require p.number is unique
""",
    """
create constraint nova_index_name if not exists
for (i:NovaIndex) require i.name is unique
""",
    """
create index nova_person_followers if not exists
for (p:NovaPerson) on (p.followers)
""",
    "call db.awaitIndexes(60)",
)

CHECKPOINT = """
match (i:NovaIndex {name: 'follows'})
return i.log as log, i.to as to, i.at as at
"""

# Each of these takes the lock by its first `set`, and only then looks: of two at once, the
# second one sees what the first one did.
BEGIN = """
merge (i:NovaIndex {name: 'follows'})
set i.touched = timestamp()
with i where $force or i.filler is null or i.filler = $mine
    or timestamp() - i.beat > $patience_ms
remove i.log, i.to, i.at
set i.filler = $filler, i.beat = timestamp()
return i.name
"""

FILLING = """
match (i:NovaIndex {name: 'follows'})
set i.touched = timestamp()
with i where i.filler = $filler
set i.beat = timestamp()
return i.name
"""

FINISH = """
match (i:NovaIndex {name: 'follows'})
set i.touched = timestamp()
with i where i.filler = $filler
remove i.filler, i.beat
set i.log = $log, i.to = $to, i.at = $at
return i.name
"""

MOVE = """
match (i:NovaIndex {name: 'follows'})
set i.touched = timestamp()
with i where i.log = $log and i.to = $after
set i.to = $to, i.at = $at
return i.name
"""

EMPTY_FOLLOWS = """
match (:NovaPerson)-[f:FOLLOWS]->() with f limit $most delete f return count(*) as done
"""

EMPTY_PEOPLE = """
match (p:NovaPerson) with p limit $most detach delete p return count(*) as done
"""

ENTER = "unwind $people as number merge (:NovaPerson {number: number})"

FOLLOW = """
unwind $edges as edge
match (a:NovaPerson {number: edge[0]})
match (b:NovaPerson {number: edge[1]})
merge (a)-[f:FOLLOWS]->(b) on create set f.at = edge[2]
"""

# Where there was nothing before, each follow is written once: to look for it would be dear.
FOLLOW_FIRST = """
unwind $edges as edge
match (a:NovaPerson {number: edge[0]})
match (b:NovaPerson {number: edge[1]})
create (a)-[:FOLLOWS {at: edge[2]}]->(b)
"""

UNFOLLOW = """
unwind $edges as edge
match (a:NovaPerson {number: edge[0]})
match (b:NovaPerson {number: edge[1]})
match (a)-[f:FOLLOWS]->(b)
delete f
"""

COUNT = """
unwind $people as number
match (p:NovaPerson {number: number})
with p, count { (p)<-[:FOLLOWS]-() } as followers
set p.followers = followers
"""

COUNTED = """
unwind $counts as one
match (p:NovaPerson {number: one[0]})
set p.followers = one[1]
"""

FOLLOWEES = """
unwind $people as number
match (p:NovaPerson {number: number})
return number, collect { match (p)-[:FOLLOWS]->(o) return o.number } as followees
"""

LEAVE = """
match (:NovaPerson {number: $number})-[f:FOLLOWS]->(o) with f, o limit $most
delete f
with distinct o, count { (o)<-[:FOLLOWS]-() } as followers
set o.followers = followers
return count(*) as done
"""

LOSE = """
match (:NovaPerson {number: $number})<-[f:FOLLOWS]-() with f limit $most
delete f return count(*) as done
"""

FORGET = "match (p:NovaPerson {number: $number}) detach delete p return count(*) as done"

# Resource allocation, as in the index in process. The caps keep a hub from costing more than
# others; which of somebody's many follows count is not told, since sorting them would be dear.
# Who must not be suggested is left out by the caller: `not exists` would cost the hundredfold.
SUGGEST = """
match (i:NovaIndex {name: 'follows'}) where i.to is not null
optional match (me:NovaPerson {number: $number})
return
  collect { match (me)-[:FOLLOWS]->(f) return f.number } as mine,
  collect {
    match (me)-[r:FOLLOWS]->(f) with f, r.at as at order by at desc limit $followed
    with f, count { (f)-[:FOLLOWS]->() } as follows where follows > 0
    with f, 1.0 / follows as share
    call (f) { match (f)-[:FOLLOWS]->(c) return c limit $each }
    with c, sum(share) as score, collect(f) as by
    with c.number as number, score, by order by score desc, number limit $most
    return [number, score, [f in by | [f.number, f.followers]]]
  } as found
"""

POPULAR = """
match (p:NovaPerson) where p.followers > 0
return p.number as number order by p.followers desc, number limit $most
"""

MUTUALS = """
match (i:NovaIndex {name: 'follows'}) where i.to is not null
optional match (me:NovaPerson {number: $number})
return collect {
    match (me)-[r:FOLLOWS]->(f) where exists { (f)-[:FOLLOWS]->(me) }
    return f.number order by r.at desc limit $most
} as found
"""

COMMON = """
match (i:NovaIndex {name: 'follows'}) where i.to is not null
optional match (one:NovaPerson {number: $one})
optional match (other:NovaPerson {number: $other})
return collect {
    match (one)-[r:FOLLOWS]->(f) where exists { (other)-[:FOLLOWS]->(f) }
    return f.number order by r.at desc limit $most
} as found
"""

MOST_HOPS = 6

# How long a path may be cannot be a parameter, so there is a statement for each length.
_WAY = """
match (i:NovaIndex {name: 'follows'}) where i.to is not null
optional match way = shortestPath(
    (:NovaPerson {number: $start})-[:FOLLOWS*..HOPS]->(:NovaPerson {number: $end}))
    where none(each in nodes(way) where each.number in $around)
return [each in nodes(way) | each.number] as found
"""
WAYS = {hops: _WAY.replace("HOPS", str(hops)) for hops in range(1, MOST_HOPS + 1)}
