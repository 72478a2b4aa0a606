"""SQL that counts how far deliveries came."""

COUNT = """
select channel, count(*) as planned,
       count(*) filter (where phase = 'waiting') as waiting,
       count(*) filter (where phase = 'held') as held,
       count(*) filter (where phase = 'standby') as standby,
       count(*) filter (where phase = 'dropped') as dropped,
       count(*) filter (where phase = 'merged') as merged,
       count(*) filter (where phase = 'failed') as failed,
       count(*) filter (where phase = 'dead') as dead,
       count(*) filter (where attempts > 0) as tried,
       count(*) filter (where status >= $3) as sent,
       count(*) filter (where status >= $4) as delivered,
       count(*) filter (where status >= $5) as opened
  from (select channel, phase, attempts, status from deliveries.deliveries
         where id >= $1 and kind <> 'recall' order by id desc limit $2) newest
 group by channel order by channel
"""

# An id holds when its notification was accepted (a digest: was opened), to the millisecond.
LATENCY = """
select channel, bucket, count(*) as count,
       percentile_disc(array[0.5, 0.95, 0.99]) within group (order by ms) as percentiles
  from (select channel, ms, width_bucket(ms / 1000, $3::float8[]) as bucket
          from (select channel, greatest(0, 1000 * extract(epoch from sent_at)::float8 -
                       case when channel = 'webhook'
                            then 1000 * extract(epoch from made_at)::float8
                            else ('x' || translate(left(notification::text, 13), '-', '')
                                 )::bit(48)::bigint end) as ms
                  from (select channel, notification, made_at, sent_at from deliveries.deliveries
                         where id >= $1 and kind <> 'recall' order by id desc limit $2) newest
                 where sent_at is not null) sent) placed
 group by grouping sets ((channel), (channel, bucket))
"""

OPEN_DIGESTS = """
select channel, count(*) as count
  from (select channel from deliveries.digests where closed_at is null limit $1) open
 group by channel
"""
