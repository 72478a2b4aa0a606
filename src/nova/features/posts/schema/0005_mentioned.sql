-- Who is erased is taken out of what others wrote: these find where a person is named.
create index posts_naming on posts.posts using gin (mentions) where mentions <> '{}';
create index comments_naming on posts.comments using gin (mentions) where mentions <> '{}';
