"""SQL that looks at preferences again before an attempt."""

# A person may want a digest of one thing, though nothing else of its type.
GATHERED = """
select distinct d.id as of, e.user_id, e.type, e.about, e.channel
  from deliveries.deliveries d
  join deliveries.entries e on e.digest = d.notification and e.channel = d.channel
 where d.id = any($1::uuid[]) and e.gone is null
"""

# Those that the release drops as well, once they are held anew.
MERGED = """
select into_id as of, user_id, type, about, channel from deliveries.deliveries
 where into_id = any($1::uuid[]) and phase = 'merged' and kind = 'single' and not critical
"""
