-- The inventory: one row for every resource of every kind, living or deleted. What all kinds have is a column,
-- what is peculiar to one is in attrs. Rows are never removed, as costs and usage refer to them for ever.

create table cloud_resources (
    id uuid primary key,
    provider text not null,
    -- Open: a kind that nobody knows yet is kept under its own name.
    kind text not null,
    provider_id text not null,
    name text not null,
    -- Open as well: the provider's word, or 'deleted'.
    status text not null,
    region text,
    attrs jsonb not null,
    -- Hash of everything that counts as a change, so that a sync in which nothing changed reads and compares
    -- sixteen bytes a row. Empty: not yet described by the provider.
    content_hash bytea not null,
    cloud_project_id uuid constraint resource_project references cloud_projects (id),
    tenant_id text,
    deployment_id uuid,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    -- Complete listings in a row that did not show it.
    stale_strike_count smallint not null default 0,
    deleted_at timestamptz,
    version bigint not null default 1,
    constraint resource_once unique (provider, kind, provider_id)
)
-- Every sync writes last_seen_at of every row, and all rows of a heap page in one transaction: with half of the
-- page free the new versions fit beside the old ones and no index is touched. So last_seen_at has no index.
with (fillfactor = 50);

-- Filters are equalities and pages go by id.
create index cloud_resources_by_kind on cloud_resources (kind, id);
create index cloud_resources_by_tenant on cloud_resources (tenant_id, id) where tenant_id is not null;
create index cloud_resources_by_project on cloud_resources (cloud_project_id, id) where cloud_project_id is not null;
create index cloud_resources_by_deployment on cloud_resources (deployment_id, id) where deployment_id is not null;

alter table cloud_resources enable row level security;
alter table cloud_resources force row level security;
create policy everyones on cloud_resources to syncer using (true) with check (true);
create policy own on cloud_resources for select to syncer_tenant using (tenant_id = (select syncer.tenant()));
create policy owner on cloud_resources to syncer_owner using (true) with check (true);

grant select, insert, update on cloud_resources to syncer;
grant select on cloud_resources to syncer_tenant;
