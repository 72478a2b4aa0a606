-- By what mentions find people in whatever case they write an id: Nova folds ids that come from now
-- on as Unicode says. For those that are there PostgreSQL's own lower case does, until each is
-- written again: it differs for few letters, and an id as it is is always found.
alter table accounts.users add column folded text collate "C";
update accounts.users set folded = lower(normalize(external_id, nfc)) where external_id is not null;
create index users_by_folded on accounts.users (folded) where folded is not null;
