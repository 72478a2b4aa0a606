-- Whether the event named an actor whom nobody knew when it was decided: its words say "Someone".
alter table notifications.inbox add column unknown_actor boolean not null default false;
