-- The mirror of the provider's projects. A project says whose its resources are: an operator classifies it, and
-- every resource in it takes its tenant. Rows are never removed; a project that is gone has deleted_at.

create table cloud_projects (
    id uuid primary key,
    provider text not null,
    provider_id text not null,
    name text not null,
    environment text,
    -- Null: nobody's. Only an operator sets it.
    tenant_id text,
    purpose text,
    -- Until an operator says what a project is for, purpose is the provider's word and follows it.
    purpose_from_operator boolean not null default false,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    stale_strike_count smallint not null default 0,
    deleted_at timestamptz,
    constraint project_once unique (provider, provider_id)
)
-- Every sync writes last_seen_at of every row, and all rows of a heap page in one transaction: with half of the
-- page free the new versions fit beside the old ones and no index is touched.
with (fillfactor = 50);
create index cloud_projects_by_tenant on cloud_projects (tenant_id, id) where tenant_id is not null;

alter table cloud_projects enable row level security;
alter table cloud_projects force row level security;
create policy everyones on cloud_projects to syncer using (true) with check (true);
create policy own on cloud_projects for select to syncer_tenant using (tenant_id = (select syncer.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on cloud_projects to syncer_owner using (true) with check (true);

grant select, insert, update on cloud_projects to syncer;
grant select on cloud_projects to syncer_tenant;
