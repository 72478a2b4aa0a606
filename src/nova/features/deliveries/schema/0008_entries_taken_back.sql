-- Of an entry that was taken back its place is left, without the words: its story goes on.
alter table deliveries.entries add column gone text;
