"""SQL that tells which people are there."""

THERE = "select id from accounts.users where id = any($1::uuid[]) and not suspended"
