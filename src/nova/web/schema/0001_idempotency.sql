-- Answers to POSTs that came with an Idempotency-Key. A row without a status is a claim.
create schema if not exists web;

create table web.idempotency (
    owner text not null,
    key text not null,
    fingerprint bytea not null,
    claim uuid not null,
    claimed_until timestamptz not null,
    expires_at timestamptz not null,
    status smallint,
    headers jsonb,
    body bytea,
    primary key (owner, key)
);

create index idempotency_expiry on web.idempotency (expires_at);
