-- A webhook's last calls, for whoever looks after it.
create index deliveries_of_webhook on deliveries.deliveries (target, id) where lane = 'hook';
