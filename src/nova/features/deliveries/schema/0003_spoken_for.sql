-- Whom a delivery speaks for: those that were put together with it.
create index deliveries_spoken_for on deliveries.deliveries (into_id) where into_id is not null;
