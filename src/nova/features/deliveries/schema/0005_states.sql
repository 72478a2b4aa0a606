-- The log by state, newest first: also a state that nothing is in costs a look, and not the log.
create index deliveries_by_state on deliveries.deliveries (phase, status, id);
