"""SQL of what the stored graph index is compared with."""

NOTE = "insert into graph.kept (id, at) values ($1, $2) returning xmin::text"

FORGET = """
delete from graph.kept where ctid = any(array(
    select ctid from graph.kept where at < $1 limit $2))
"""

# Edges of an import that goes on, or was given up, are in no fact: they are read from the truth.
GOOD = """
select exists (select from graph.kept where id = $1 and xmin::text = $2 and at > $3)
   and not exists (select from graph.imports where not finished)
"""
