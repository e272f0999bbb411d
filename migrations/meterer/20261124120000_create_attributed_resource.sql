-- What meterer knows of the inventory: the last state of every resource that syncer told, as far as usage depends
-- on it. Rows are never removed: a deleted resource was used on its last day, and the row's version is what tells
-- a late, older message from news.

create table attributed_resource (
    resource_id uuid primary key,
    -- Open, as in the inventory: a kind that nobody meters yet is kept under its own name.
    kind text not null,
    name text not null,
    status text not null,
    -- Null: the kind has no size, or its size is unknown; then it is not metered, and listed as such.
    size_gigabytes numeric check (size_gigabytes >= 0),
    -- Null: no deployment's; then nobody is charged for it.
    deployment_id uuid,
    tenant_id text,
    deleted_at timestamptz,
    version bigint not null check (version > 0)
);

-- A day's metering walks deployments; what belongs to none is not read.
create index attributed_resource_by_deployment on attributed_resource (deployment_id, resource_id)
    where deployment_id is not null;
create index attributed_resource_by_tenant on attributed_resource (tenant_id, resource_id)
    where tenant_id is not null;

alter table attributed_resource enable row level security;
alter table attributed_resource force row level security;
create policy everyones on attributed_resource to meterer using (true) with check (true);
create policy own on attributed_resource for select to meterer_tenant
    using (tenant_id = (select meterer.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on attributed_resource to meterer_owner using (true) with check (true);

grant select, insert, update on attributed_resource to meterer;
grant select on attributed_resource to meterer_tenant;
