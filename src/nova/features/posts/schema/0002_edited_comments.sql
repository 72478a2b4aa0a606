alter table posts.comments add column if not exists edited_at timestamptz;
