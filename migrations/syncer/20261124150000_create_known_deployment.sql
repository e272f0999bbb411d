-- What syncer knows of deployments, which are biller's: whose each is and whether it still lives, so that a resource
-- is linked to none that does not exist or is over. Rows are never removed; the version tells a late, older message
-- from news.

create table known_deployment (
    deployment_id uuid primary key,
    tenant_id text not null,
    -- As biller says it.
    state text not null,
    version bigint not null check (version > 0)
);

alter table known_deployment enable row level security;
alter table known_deployment force row level security;
create policy everyones on known_deployment to syncer using (true) with check (true);
create policy own on known_deployment for select to syncer_tenant using (tenant_id = (select syncer.tenant()));
-- Forced security binds the owner too, and a migration that backfills must see the rows.
create policy owner on known_deployment to syncer_owner using (true) with check (true);

grant select, insert, update on known_deployment to syncer;
grant select on known_deployment to syncer_tenant;
