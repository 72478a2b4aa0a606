-- Which posts carry a hashtag, the newest found first.
create table posts.tagged (
    tag text collate "C" not null,
    post uuid not null references posts.posts on delete cascade,
    primary key (tag, post)
);
create index tags_of_post on posts.tagged (post);
insert into posts.tagged (tag, post) select distinct unnest(tags), id from posts.posts;
