-- Of what waits for browsers, each push service's is claimed for by itself.
create function deliveries.origin_of(address text) returns text
    language sql immutable parallel safe
    return lower(split_part(address, '/', 3));
create index deliveries_to_origin on deliveries.deliveries
    (deliveries.origin_of(address), priority, due) where lane = 'web' and phase = 'waiting';
