"""SQL of the traces of notifications."""

STORED = """
select i.*, r.stored_at, r.published_at from notifications.inbox i
  left join notifications.runs r on r.id = i.run where i.id = $1
"""

SUPPRESSED = """
select s.*, r.stored_at from notifications.suppressed s
  left join notifications.runs r on r.id = s.run where s.id = $1
"""
