-- Each webhook is claimed for by itself.
create index deliveries_to_webhook on deliveries.deliveries (target, due)
    where lane = 'hook' and phase = 'waiting';
