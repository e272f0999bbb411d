-- What every service that owns tables has: an outbox, an inbox and the messages it could not handle.
-- Statements run as the schema's owner with the schema as search path.

grant usage on schema saga_orchestrator to saga_orchestrator, saga_orchestrator_tenant;

-- The tenant of this transaction. Raises when nobody said: an unset setting reads as null the first time and
-- as '' ever after on the same connection, and a policy that compared with '' would answer with silence.
create function tenant() returns text
language plpgsql stable
as $$
declare
    tenant text := current_setting('app.tenant', true);
begin
    if tenant is null or tenant = '' then
        raise exception 'app.tenant is not set in this transaction';
    end if;
    return tenant;
end
$$;
revoke all on function tenant() from public;
grant execute on function tenant() to saga_orchestrator_tenant;

-- Rows are written in the transaction of the change they tell of, published in id order, and kept longer than
-- the stream keeps the message, so that a lost stream can be published again.
create table outbox (
    id bigint generated always as identity primary key,
    subject text not null,
    -- Read whole and never looked into.
    headers json not null,
    payload bytea not null,
    created_at timestamptz not null default now()
);
-- The publisher's work set: what is left to do, not a cursor, which would lose late commits. A table of its own,
-- because a mark in the outbox would write each message a second time.
create table outbox_unpublished (
    id bigint primary key
)
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index outbox_created_at on outbox using brin (created_at);

-- One row per message and consumer, committed with the message's effect. A command's reply is kept with it.
create table inbox (
    consumer text not null,
    message_key text not null,
    fingerprint bytea,
    reply bytea,
    received_at timestamptz not null default now(),
    primary key (consumer, message_key)
);
create index inbox_received_at on inbox using brin (received_at);

create table parked (
    id uuid primary key,
    consumer text not null,
    message_key text not null,
    subject text not null,
    headers jsonb not null,
    payload bytea not null,
    reason text not null,
    status text not null default 'parked' check (status in ('parked', 'replayed', 'dismissed')),
    deliveries bigint not null,
    parked_at timestamptz not null default now(),
    settled_by text,
    settled_at timestamptz,
    constraint parked_once unique (consumer, message_key)
);
create index parked_by_status on parked (status, id);

grant select, insert, delete on outbox, outbox_unpublished to saga_orchestrator;
grant select, insert, update, delete on inbox to saga_orchestrator;
grant select, insert, update on parked to saga_orchestrator;
