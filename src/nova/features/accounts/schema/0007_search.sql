-- By what operators find people: how a name, its last word and a mail address begin.
create index users_by_name on accounts.users ((lower(name) collate "C")) where name is not null;
create index users_by_last_name
    on accounts.users ((lower(substring(name from '\S+$')) collate "C")) where name is not null;
create index users_by_email on accounts.users ((lower(email) collate "C")) where email is not null;
