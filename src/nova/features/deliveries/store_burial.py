"""SQL about addresses that providers call dead."""

COUNTS = """
select coalesce(sum(gone), 0)::bigint as gone, coalesce(sum(sent + failed), 0)::bigint as others
  from deliveries.pulse where lane = $1 and minute > $2
"""

STOP = """
update deliveries.lanes set purging = false, purging_why = $2 where lane = $1 and purging
"""

PURGING = "select purging from deliveries.lanes where lane = $1"

DUE = """
delete from deliveries.suspects where (lane, address) in (
    select lane, address from deliveries.suspects where lane = $1 and at <= $2
     order by at limit $3 for update skip locked)
returning *
"""

FORGIVE = "delete from deliveries.suspects where lane = $1"
