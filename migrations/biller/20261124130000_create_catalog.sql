-- What is sold: plans in numbered versions with what they include, add-ons, and unit prices for what no plan covers.
-- The catalog is the same for everyone, so there is no tenant's data here and no row-level security. What was offered
-- once never changes: the service may insert, and update only what tells where a version stands.

create table plans (
    -- In byte order, as everything here that is listed by its code.
    code text collate "C" primary key check (code ~ '^[a-z][a-z0-9_]{0,39}$'),
    name text not null check (char_length(name) between 1 and 255),
    -- The number of the newest version. Raising it locks the plan, so that two drafts never get one number.
    last_version integer not null default 0 check (last_version >= 0),
    created_at timestamptz not null
);

create table plan_versions (
    id uuid primary key,
    plan_code text collate "C" not null references plans,
    version integer not null check (version > 0),
    status text not null default 'draft' check (status in ('draft', 'active', 'retired')),
    base_price_cents bigint not null check (base_price_cents between 0 and 100000000000),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null,
    published_at timestamptz,
    retired_at timestamptz,
    constraint plan_versions_number unique (plan_code, version),
    constraint plan_versions_published check ((status = 'draft') = (published_at is null)),
    constraint plan_versions_retired check ((status = 'retired') = (retired_at is not null))
);
-- Never two on offer, whatever the service does.
create unique index plan_versions_active on plan_versions (plan_code) where status = 'active';

create table plan_items (
    plan_version_id uuid not null references plan_versions,
    resource_kind text collate "C" not null check (resource_kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    -- In base units, as usage is counted.
    included_qty numeric not null check (included_qty >= 0 and included_qty < 1e15 and scale(trim_scale(included_qty)) <= 12),
    overage_unit text not null
        check (overage_unit in ('hour', 'gb_month', 'gb', 'zone_month', '1k_tokens', '1m_tokens', 'each')),
    overage_price_cents bigint not null check (overage_price_cents between 0 and 100000000000),
    -- Null: no limit to what is charged.
    hard_cap_qty numeric check (hard_cap_qty >= included_qty and hard_cap_qty < 1e15 and scale(trim_scale(hard_cap_qty)) <= 12),
    primary key (plan_version_id, resource_kind)
);

-- A version that is or was on offer gets no more items. The lock makes a publication wait for the items, or the
-- items see it.
create function plan_items_are_of_drafts() returns trigger
language plpgsql
as $$
begin
    perform from biller.plan_versions
    where id in (select plan_version_id from added) and status = 'draft'
    for share;
    if exists (select from added
               where not exists (select from biller.plan_versions
                                 where id = added.plan_version_id and status = 'draft')) then
        raise exception 'a plan version that was published gets no more items'
            using errcode = 'check_violation', constraint = 'plan_items_are_of_drafts';
    end if;
    return null;
end
$$;
revoke all on function plan_items_are_of_drafts() from public;
create trigger plan_items_are_of_drafts after insert on plan_items
    referencing new table as added
    for each statement execute function plan_items_are_of_drafts();

create table addons (
    code text collate "C" primary key check (code ~ '^[a-z][a-z0-9_]{0,39}$'),
    name text not null check (char_length(name) between 1 and 255),
    resource_kind text collate "C" not null check (resource_kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    qty numeric not null check (qty > 0 and qty < 1e15 and scale(trim_scale(qty)) <= 12),
    price_cents bigint not null check (price_cents between 0 and 100000000000),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null
);

-- The price of a day is the row with the latest day up to it. A day's price is set once.
create table resource_prices (
    resource_kind text collate "C" not null check (resource_kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    currency text collate "C" not null check (currency ~ '^[A-Z]{3}$'),
    effective_from date not null check (effective_from >= '2000-01-01' and effective_from < '2100-01-01'),
    unit text not null
        check (unit in ('hour', 'gb_month', 'gb', 'zone_month', '1k_tokens', '1m_tokens', 'each')),
    unit_price_cents bigint not null check (unit_price_cents between 0 and 100000000000),
    primary key (resource_kind, currency, effective_from)
);

grant select, insert on plans, plan_versions, plan_items, addons, resource_prices to biller;
grant update (last_version) on plans to biller;
grant update (status, published_at, retired_at) on plan_versions to biller;
grant select on plans, plan_versions, plan_items, addons, resource_prices to biller_tenant;
