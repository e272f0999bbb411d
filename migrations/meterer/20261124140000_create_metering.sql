-- Metering. Usage is counted in the state of the day it was used on, so every state of a resource is kept, not only
-- the last; what a day comes to is made from them by one set-wise pass, and can be made again.

create table resource_state (
    resource_id uuid not null,
    version bigint not null check (version > 0),
    -- When this state began.
    from_at timestamptz not null,
    -- When the next version's began; null: none is known. Versions decide, and a clock that was set back cannot
    -- make an old state the present one.
    superseded_at timestamptz,
    -- Open, as in the inventory: a kind that nobody meters yet is kept under its own name.
    kind text not null,
    name text not null,
    status text not null,
    -- Null: the kind has no size, or its size is unknown. So many digits that size times share is exact in 28.
    size_gigabytes numeric
        check (size_gigabytes >= 0 and size_gigabytes < 1000000000 and scale(size_gigabytes) <= 6),
    -- Null: no deployment's; then nobody is charged for it.
    deployment_id uuid,
    tenant_id text,
    deleted boolean not null,
    primary key (resource_id, version)
);

-- A day's metering reads what was alive on the day, however long the history is. What belongs to no deployment is in
-- it too: leaving a deployment must end what came before.
create index resource_state_alive on resource_state (superseded_at) where not deleted;
-- For retention.
create index resource_state_superseded on resource_state (superseded_at) where superseded_at is not null;

alter table resource_state enable row level security;
alter table resource_state force row level security;
create policy everyones on resource_state to meterer using (true) with check (true);
create policy own on resource_state for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on resource_state to meterer_owner using (true) with check (true);

grant select, insert, update, delete on resource_state to meterer;
grant select on resource_state to meterer_tenant;

-- Nobody knows any more when these states began; an event that is read again says so, and the earlier time holds.
insert into resource_state
    (resource_id, version, from_at, kind, name, status, size_gigabytes, deployment_id, tenant_id, deleted)
select resource_id, version, coalesce(deleted_at, now()), kind, name, status,
       case when size_gigabytes < 1000000000 and scale(size_gigabytes) <= 6 then size_gigabytes end,
       deployment_id, tenant_id, deleted_at is not null
from attributed_resource;

drop table attributed_resource;

-- How each billing kind is metered.
create table metering_config (
    billing_kind text primary key,
    granularity text not null check (granularity in ('daily', 'hourly')),
    -- At least the longest month and some days to correct it in.
    retention_days integer not null check (retention_days between 35 and 3650)
);

insert into metering_config (billing_kind, granularity, retention_days) values
    ('droplet_hours', 'daily', 400),
    ('spaces_gb_month', 'daily', 400),
    ('snapshot_gb_month', 'daily', 400),
    ('droplet_backup_gb_month', 'daily', 400),
    ('dns_zones', 'daily', 400),
    ('llm_tokens', 'daily', 400);

grant select, update on metering_config to meterer;

-- How far metering has come; one row.
create table metering_progress (
    singleton boolean primary key default true check (singleton),
    -- The last day that is metered with all before it; null: none.
    metered_through date,
    -- States that ended before this day are deleted, so that no earlier day can be metered again; null: none are.
    states_kept_from date
);

insert into metering_progress default values;

grant select, update on metering_progress to meterer;

create table usage_records (
    deployment_id uuid not null,
    resource_id uuid not null,
    billing_kind text not null,
    granularity text not null check (granularity in ('daily', 'hourly')),
    -- The day's first instant, or the hour's.
    period_start timestamptz not null,
    tenant_id text not null,
    resource_kind text not null,
    qty numeric not null check (qty >= 0),
    -- Which part of the deployment used it; nothing writes it yet.
    sub_attribution jsonb,
    -- In the order in which a deployment's usage is read.
    constraint usage_once primary key (deployment_id, period_start, billing_kind, resource_id, granularity)
);

-- For a day that is metered again, and for retention.
create index usage_records_by_period on usage_records (billing_kind, period_start);
create index usage_records_by_tenant on usage_records (tenant_id, period_start);

alter table usage_records enable row level security;
alter table usage_records force row level security;
create policy everyones on usage_records to meterer using (true) with check (true);
create policy own on usage_records for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on usage_records to meterer_owner using (true) with check (true);

grant select, insert, update, delete on usage_records to meterer;
grant select on usage_records to meterer_tenant;

-- What should have counted on a day and could not.
create table unmetered_resources (
    day date not null,
    resource_id uuid not null,
    billing_kind text not null,
    resource_kind text not null,
    name text not null,
    tenant_id text not null,
    deployment_id uuid not null,
    reason text not null check (reason in ('size_unknown')),
    primary key (day, resource_id, billing_kind)
);

alter table unmetered_resources enable row level security;
alter table unmetered_resources force row level security;
create policy everyones on unmetered_resources to meterer using (true) with check (true);
create policy own on unmetered_resources for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
create policy owner on unmetered_resources to meterer_owner using (true) with check (true);

grant select, insert, update, delete on unmetered_resources to meterer;
grant select on unmetered_resources to meterer_tenant;
