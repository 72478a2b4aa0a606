-- One spelling of each address, so that a device is there once: see nova.features.accounts.push_addresses.
create function accounts.spelled(platform text, token text) returns text
    language sql immutable
    return case
        when platform = 'ios' and token ~ '^[0-9A-Fa-f]{64,200}$' then lower(token)
        when platform = 'web' then coalesce((
            select 'https://' || lower(regexp_replace(parts[2], '\.?(:0*443|:)?$', ''))
                   || case when parts[3] like '/%' then '' else '/' end || parts[3]
              from regexp_match(token, '^(https)://([^/?#@]+)([^#]*)', 'i') as parts), token)
        else token
    end;

-- Of several spellings, the one that lives, and of those the one seen last, stays.
delete from accounts.devices d using (
    select id, row_number() over (
        partition by platform, app, accounts.spelled(platform, token)
        order by dead_at is not null, seen_at desc, id) as place
      from accounts.devices) known
 where d.id = known.id and known.place > 1;

update accounts.devices
   set token = accounts.spelled(platform, token),
       address = sha256(convert_to(accounts.spelled(platform, token), 'UTF8'))
 where token <> accounts.spelled(platform, token);

drop function accounts.spelled(text, text);

update accounts.devices
   set p256dh = translate(rtrim(p256dh, '='), '+/', '-_'),
       auth = translate(rtrim(auth, '='), '+/', '-_')
 where platform = 'web' and (p256dh ~ '[+/=]' or auth ~ '[+/=]');

-- Nothing can be sent there. Who has such a device registers it anew, and hears what is wrong.
update accounts.devices set dead_at = now(), dead_reason = 'no address of a push service'
 where platform = 'web' and dead_at is null and token !~ '^https://[^/?#@]+/';
