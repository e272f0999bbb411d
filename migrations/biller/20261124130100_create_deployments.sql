-- Deployments, what happened to them, and their subscriptions. A deployment's row is the lock of everything that is
-- its own: whoever changes a deployment or its subscription holds it, and counts its version. Nothing is removed, as
-- usage and invoices refer to it for ever.

create table cloud_deployments (
    id uuid primary key,
    tenant_id text not null,
    slug text not null,
    display_name text not null,
    region text not null,
    state text not null check (state in
        ('provisioning', 'trial', 'active', 'past_due', 'paused', 'suspended', 'cancelled', 'archived')),
    llm_mode text not null check (llm_mode in ('disabled', 'gateway', 'own_keys')),
    -- An operator keeps everything automatic away.
    billing_action_suspended boolean not null default false,
    -- Null: made from no template.
    template_code text,
    template_version integer check (template_version > 0),
    created_at timestamptz not null,
    -- Counts the deployment's events, from 1.
    version bigint not null check (version > 0),
    check (template_version is null or template_code is not null),
    -- Also of those that are over: what a name stood for on an old invoice stays plain.
    constraint deployment_slug_once unique (tenant_id, slug)
);

-- Pages go by id, which is the order of creation.
create index cloud_deployments_by_tenant on cloud_deployments (tenant_id, id);
create index cloud_deployments_by_state on cloud_deployments (state, id);

alter table cloud_deployments enable row level security;
alter table cloud_deployments force row level security;
create policy everyones on cloud_deployments to biller using (true) with check (true);
create policy own on cloud_deployments for select to biller_tenant using (tenant_id = (select biller.tenant()));
create policy owner on cloud_deployments to biller_owner using (true) with check (true);
grant select, insert on cloud_deployments to biller;
grant update (state, billing_action_suspended, version) on cloud_deployments to biller;
grant select on cloud_deployments to biller_tenant;

-- What happened, append-only: nobody is granted update or delete. The whole state after each event is in the
-- published message.
create table cloud_deployment_events (
    deployment_id uuid not null references cloud_deployments (id),
    -- The deployment's version after the event.
    version bigint not null check (version > 0),
    tenant_id text not null,
    event text not null check (event in
        ('created', 'transitioned', 'subscribed', 'period_begun', 'migrated', 'billing_action_changed')),
    -- Null for 'created'.
    from_state text,
    to_state text not null,
    actor text not null,
    -- Whose token it was; null: a job's doing. A tenant is not told which operator it was.
    actor_tenant_id text,
    reason text,
    occurred_at timestamptz not null,
    primary key (deployment_id, version)
);

alter table cloud_deployment_events enable row level security;
alter table cloud_deployment_events force row level security;
create policy everyones on cloud_deployment_events to biller using (true) with check (true);
create policy own on cloud_deployment_events for select to biller_tenant
    using (tenant_id = (select biller.tenant()));
create policy owner on cloud_deployment_events to biller_owner using (true) with check (true);
grant select, insert on cloud_deployment_events to biller;
grant select on cloud_deployment_events to biller_tenant;

create table subscriptions (
    id uuid primary key,
    deployment_id uuid not null references cloud_deployments (id),
    tenant_id text not null,
    plan_version_id uuid not null references plan_versions (id),
    -- Of that version, which never changes.
    plan_code text not null,
    plan_version integer not null,
    currency text not null,
    status text not null check (status in ('active', 'paused', 'cancelled')),
    current_period_start date not null,
    -- The first day after the period.
    current_period_end date not null check (current_period_end > current_period_start),
    -- Null: without a trial.
    trial_ends_at timestamptz,
    started_at timestamptz not null,
    cancelled_at timestamptz,
    check ((status = 'cancelled') = (cancelled_at is not null))
);

-- At most one that lives.
create unique index subscription_live_once on subscriptions (deployment_id) where status <> 'cancelled';
create index subscriptions_by_deployment on subscriptions (deployment_id, started_at);
-- Which periods have passed. Trials that are over are looked for among the deployments that are in one.
create index subscriptions_by_period_end on subscriptions (current_period_end) where status <> 'cancelled';

alter table subscriptions enable row level security;
alter table subscriptions force row level security;
create policy everyones on subscriptions to biller using (true) with check (true);
create policy own on subscriptions for select to biller_tenant using (tenant_id = (select biller.tenant()));
create policy owner on subscriptions to biller_owner using (true) with check (true);
grant select, insert on subscriptions to biller;
grant update (plan_version_id, plan_code, plan_version, status, current_period_start, current_period_end,
              trial_ends_at, cancelled_at) on subscriptions to biller;
grant select on subscriptions to biller_tenant;

-- Add-ons as they were when they were attached: name, quantity and price are copied, and stay.
create table subscription_addons (
    subscription_id uuid not null references subscriptions (id),
    -- In the order in which they were asked for; a code may stand more than once.
    position smallint not null check (position > 0),
    tenant_id text not null,
    code text not null,
    name text not null,
    resource_kind text not null,
    qty numeric not null check (qty > 0),
    price_cents bigint not null check (price_cents >= 0),
    attached_at timestamptz not null,
    primary key (subscription_id, position)
);

alter table subscription_addons enable row level security;
alter table subscription_addons force row level security;
create policy everyones on subscription_addons to biller using (true) with check (true);
create policy own on subscription_addons for select to biller_tenant using (tenant_id = (select biller.tenant()));
create policy owner on subscription_addons to biller_owner using (true) with check (true);
grant select, insert on subscription_addons to biller;
grant select on subscription_addons to biller_tenant;

-- Which version a subscription was bound to before, and who bound it to another.
create table subscription_migrations (
    subscription_id uuid not null references subscriptions (id),
    -- The deployment's version after the migration.
    version bigint not null check (version > 0),
    tenant_id text not null,
    from_plan_version_id uuid not null references plan_versions (id),
    to_plan_version_id uuid not null references plan_versions (id),
    actor text not null,
    reason text,
    migrated_at timestamptz not null,
    primary key (subscription_id, version),
    check (from_plan_version_id <> to_plan_version_id)
);

alter table subscription_migrations enable row level security;
alter table subscription_migrations force row level security;
create policy everyones on subscription_migrations to biller using (true) with check (true);
create policy own on subscription_migrations for select to biller_tenant
    using (tenant_id = (select biller.tenant()));
create policy owner on subscription_migrations to biller_owner using (true) with check (true);
grant select, insert on subscription_migrations to biller;
grant select on subscription_migrations to biller_tenant;
