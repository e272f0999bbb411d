-- What happened to a resource, append-only: nobody is granted update or delete. The whole state after each event
-- is in the published message; here is what changed, for the resource's history.

create table cloud_resource_events (
    id bigint generated always as identity,
    -- Not a foreign key: it would look up and lock the resource once per event, and resources are never removed.
    resource_id uuid not null,
    event text not null
        check (event in ('discovered', 'updated', 'deleted', 'restored', 'drift_detected', 'tagged')),
    -- The resource's version after the event.
    version bigint not null,
    -- Whose the resource was after the event. A later owner does not see it.
    tenant_id text,
    changes jsonb not null,
    -- Null: a sync found it.
    actor text,
    occurred_at timestamptz not null,
    -- Read by resource alone; one index serves both.
    primary key (resource_id, id)
);

alter table cloud_resource_events enable row level security;
alter table cloud_resource_events force row level security;
create policy everyones on cloud_resource_events to syncer using (true) with check (true);
create policy own on cloud_resource_events for select to syncer_tenant using (tenant_id = (select syncer.tenant()));
create policy owner on cloud_resource_events to syncer_owner using (true) with check (true);

grant select, insert on cloud_resource_events to syncer;
grant select on cloud_resource_events to syncer_tenant;
