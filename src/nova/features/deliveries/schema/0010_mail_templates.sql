-- The app's words for mails by type of notification, and under '*layout' what all mails have in
-- common.
create table deliveries.mail_templates (
    type text collate "C" primary key,
    template text not null,           -- JSON
    changed_at timestamptz not null
);
