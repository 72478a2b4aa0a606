-- What a delivery that speaks for others shows in place of its own title and body: those are
-- needed again when one of them is taken back.
alter table deliveries.deliveries add column summary_title text, add column summary_body text;
