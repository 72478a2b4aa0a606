-- Posts from before hashtags had marks, and what else other writing than Latin has: they are read
-- once more in the background, and leave this table.
create table posts.old_tags (post uuid primary key references posts.posts on delete cascade);
insert into posts.old_tags
select id from posts.posts where body ~ '[#\uff03\ufe5f]' and body ~ '[^\u0001-\u007f]';
