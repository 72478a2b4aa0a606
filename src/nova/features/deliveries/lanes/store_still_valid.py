"""SQL that tells which deliveries still hold."""

# What deliveries of digests and summaries tell of, besides themselves; the newest first.
SPOKEN_FOR = """
select into_id, notification, kind, title from deliveries.deliveries
 where into_id = any($1::uuid[]) and phase = 'merged'
 order by into_id, id desc
"""
