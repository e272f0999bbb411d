-- LLM usage: what the gateway says was used and what it costs. Each request counts once, for ever; what an event says is
-- never changed, and what later events say about it is written beside it. The sums by day are kept as the events come.

-- What usage depends on of deployments, which are biller's. Rows are never removed; the version tells a late, older
-- message from news.
create table known_deployment (
    deployment_id uuid primary key,
    tenant_id text not null,
    -- Its plan's; null: it has had no plan yet, and any currency is taken.
    currency text,
    version bigint not null check (version > 0)
);

alter table known_deployment enable row level security;
alter table known_deployment force row level security;
create policy everyones on known_deployment to meterer using (true) with check (true);
create policy own on known_deployment for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on known_deployment to meterer_owner using (true) with check (true);

grant select, insert, update on known_deployment to meterer;
grant select on known_deployment to meterer_tenant;

-- One number per batch, and room behind it for the events of the batch.
create sequence llm_usage_entry increment by 1000;
grant usage on sequence llm_usage_entry to meterer;

-- Every request that ever counted, never pruned. Narrow, because it only grows.
create table llm_usage_ids (
    entry bigint not null,
    -- Of everything the event says: tells the same event again from another one under its id.
    fingerprint bytea not null,
    gateway_request_id text collate "C" primary key
);

grant select, insert on llm_usage_ids to meterer;

-- What the gateway said of each request, for as long as retention has it. Never updated.
create table llm_usage_events (
    entry bigint not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cached_tokens bigint not null,
    deployment_id uuid not null,
    gateway_request_id text collate "C" not null,
    tenant_id text collate "C" not null,
    provider text collate "C" not null,
    model text collate "C" not null,
    currency text collate "C" not null,
    charge numeric not null check (charge >= 0),
    -- Text that nobody looks into, with its keys sorted.
    metadata json not null
);

-- For what is said later about one event. Ascending, so that inserting touches one page; a block range index would leave
-- everything since the last vacuum to be read for each correction and each conflict.
create index llm_usage_events_by_entry on llm_usage_events (entry);
-- For retention.
create index llm_usage_events_by_occurred_at on llm_usage_events using brin (occurred_at) with (autosummarize = on);

alter table llm_usage_events enable row level security;
alter table llm_usage_events force row level security;
create policy everyones on llm_usage_events to meterer using (true) with check (true);
create policy own on llm_usage_events for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on llm_usage_events to meterer_owner using (true) with check (true);

grant select, insert, delete on llm_usage_events to meterer;
grant select on llm_usage_events to meterer_tenant;

-- What was said later about a request, and by how much that changed the sums: an event and its corrections' deltas come to
-- what counts. Never pruned, and never updated.
create table llm_usage_corrections (
    -- In the order they were taken.
    place bigint generated always as identity,
    correction_id text collate "C" primary key,
    fingerprint bytea not null,
    gateway_request_id text collate "C" not null,
    kind text not null check (kind in ('corrected', 'voided')),
    tenant_id text collate "C" not null,
    -- As recorded: the sum that it changes.
    deployment_id uuid not null,
    day date not null,
    provider text collate "C" not null,
    model text collate "C" not null,
    currency text collate "C" not null,
    -- As told; nothing for a void.
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cached_tokens bigint not null,
    charge numeric not null check (charge >= 0),
    -- What it changed; nothing where one that was decided later came first.
    requests_delta bigint not null check (requests_delta between -1 and 1),
    prompt_tokens_delta bigint not null,
    completion_tokens_delta bigint not null,
    cached_tokens_delta bigint not null,
    charge_delta numeric not null,
    reason text not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null
);
create index llm_usage_corrections_by_request on llm_usage_corrections (gateway_request_id, occurred_at, place);

alter table llm_usage_corrections enable row level security;
alter table llm_usage_corrections force row level security;
create policy everyones on llm_usage_corrections to meterer using (true) with check (true);
create policy own on llm_usage_corrections for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on llm_usage_corrections to meterer_owner using (true) with check (true);

grant select, insert on llm_usage_corrections to meterer;
grant select on llm_usage_corrections to meterer_tenant;

-- The sums by day: always those over events and deltas, as they change in the same transaction.
create table llm_usage_daily (
    deployment_id uuid not null,
    day date not null,
    provider text collate "C" not null,
    model text collate "C" not null,
    currency text collate "C" not null,
    tenant_id text collate "C" not null,
    requests bigint not null,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    cached_tokens bigint not null,
    charge numeric not null,
    constraint llm_usage_daily_once primary key (deployment_id, day, provider, model, currency)
)
-- Today's rows change with every batch: room for the next version on the same page, and cleaning up early.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index llm_usage_daily_by_tenant on llm_usage_daily (tenant_id, day);

alter table llm_usage_daily enable row level security;
alter table llm_usage_daily force row level security;
create policy everyones on llm_usage_daily to meterer using (true) with check (true);
create policy own on llm_usage_daily for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on llm_usage_daily to meterer_owner using (true) with check (true);

grant select, insert, update on llm_usage_daily to meterer;
grant select on llm_usage_daily to meterer_tenant;

-- The same id with other content: never counted. Kept once, however often it comes.
create table llm_usage_conflicts (
    id bigint generated always as identity primary key,
    -- The request, or the correction.
    gateway_request_id text collate "C" not null,
    fingerprint bytea not null,
    event text not null check (event in ('recorded', 'corrected', 'voided')),
    -- Null when the two disagree: then it is operators' business.
    tenant_id text collate "C",
    deployment_id uuid,
    -- Those that differ; empty when what was kept is older than its retention.
    fields text[] not null,
    rejected json not null,
    recorded_at timestamptz not null,
    constraint llm_usage_conflict_once unique (gateway_request_id, fingerprint)
);
create index llm_usage_conflicts_by_tenant on llm_usage_conflicts (tenant_id, id) where tenant_id is not null;
create index llm_usage_conflicts_by_deployment on llm_usage_conflicts (deployment_id, id)
    where deployment_id is not null;

alter table llm_usage_conflicts enable row level security;
alter table llm_usage_conflicts force row level security;
create policy everyones on llm_usage_conflicts to meterer using (true) with check (true);
create policy own on llm_usage_conflicts for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on llm_usage_conflicts to meterer_owner using (true) with check (true);

grant select, insert on llm_usage_conflicts to meterer;
grant select on llm_usage_conflicts to meterer_tenant;

-- How far each followed stream is taken; moves in the transaction of what is taken.
create table usage_position (
    stream text primary key,
    -- A stream that was lost and made again counts from 1 again.
    stream_created_at timestamptz not null,
    sequence bigint not null check (sequence > 0),
    moved_at timestamptz not null
)
with (fillfactor = 50);

grant select, insert, update on usage_position to meterer;

-- What has come of the numbers that producers give their messages.
create table usage_producers (
    producer text collate "C" primary key,
    highest bigint not null check (highest > 0),
    missing int8multirange not null,
    seen_at timestamptz not null
)
with (fillfactor = 50);

grant select, insert, update, delete on usage_producers to meterer;
