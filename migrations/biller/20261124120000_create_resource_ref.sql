-- What biller knows of the inventory: what a line of the provider's bill may mean, and whom it served. Rows are
-- never removed: bills come after the resource is gone, and the row's version is what tells a late, older message
-- from news.

create table resource_ref (
    resource_id uuid primary key,
    -- Open, as in the inventory: a kind that nobody knows yet is kept under its own name.
    kind text not null,
    name text not null,
    status text not null,
    -- Null: no deployment's.
    deployment_id uuid,
    -- Null: nobody's; what it costs stays unattributed.
    tenant_id text,
    deleted_at timestamptz,
    version bigint not null check (version > 0)
);

-- A line of the bill is matched by kind and name, whatever the case.
create index resource_ref_by_name on resource_ref (kind, lower(name));
-- The margin of a deployment asks which resources were its own.
create index resource_ref_by_deployment on resource_ref (deployment_id, resource_id)
    where deployment_id is not null;
create index resource_ref_by_tenant on resource_ref (tenant_id, resource_id) where tenant_id is not null;

alter table resource_ref enable row level security;
alter table resource_ref force row level security;
create policy everyones on resource_ref to biller using (true) with check (true);
create policy own on resource_ref for select to biller_tenant using (tenant_id = (select biller.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on resource_ref to biller_owner using (true) with check (true);

grant select, insert, update on resource_ref to biller;
grant select on resource_ref to biller_tenant;
