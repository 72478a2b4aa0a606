-- A device whose provider said that it is gone stays, with the reason, until it registers again.
alter table accounts.devices
    add column topic text,
    add column environment text,
    add column dead_at timestamptz,
    add column dead_reason text;

-- Where to write to; empty means: cleared. A dead address stays dead until another one is given.
alter table accounts.users
    add column email text,
    add column email_since timestamptz,
    add column email_dead_at timestamptz,
    add column email_dead_reason text;
