-- What a list of keys shows of them. Both are null for a key of before: it was not kept.
alter table accounts.keys
    add column prefix text,       -- its first characters; its digest alone tells nobody which it is
    add column used_at timestamptz;
