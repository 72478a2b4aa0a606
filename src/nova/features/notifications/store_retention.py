"""SQL that deletes old notifications."""

OLD_SUPPRESSED = """
delete from notifications.suppressed where ctid = any(array(
    select ctid from notifications.suppressed where accepted_at < $1 limit $2))
"""

# A run is as old as its newest notification may be.
OLD_RUNS = """
delete from notifications.runs as r where r.ctid = any(array(
    select ctid from notifications.runs where published_at < $1 limit $2))
"""
