"""SQL that follows decisions as they are made."""

STORED = """
select count(*) as stored, count(seen_at) as seen, count(read_at) as read
  from (select seen_at, read_at from notifications.inbox
         where id >= $1 order by id desc limit $2) newest
"""

SUPPRESSED = """
select reason, count(*) as count
  from (select reason from notifications.suppressed
         where id >= $1 order by id desc limit $2) newest
 group by reason order by count desc, reason
"""
