-- Nobody is given a box or preferences while, or after, being erased: whoever writes one waits
-- for the erasure, which has locked the user, and then fails.
delete from notifications.inbox i
 where not exists (select from accounts.users u where u.id = i.user_id);
delete from notifications.boxes b
 where not exists (select from accounts.users u where u.id = b.user_id);
delete from notifications.preferences p
 where not exists (select from accounts.users u where u.id = p.user_id);

alter table notifications.boxes
    add constraint boxes_of_users foreign key (user_id) references accounts.users;
alter table notifications.preferences
    add constraint preferences_of_users foreign key (user_id) references accounts.users;
