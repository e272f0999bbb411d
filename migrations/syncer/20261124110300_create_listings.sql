-- How each listing of the provider stands: its present run, its last complete one, and whether it is held back
-- because too much went missing at once. One row per listing, made at its first run.

create table listings (
    listing text primary key,
    -- The run that may write. A run that was overtaken finds another id here and stops.
    run_id uuid not null,
    started_at timestamptz not null,
    -- The last run that reached its last page; null before the first.
    completed_at timestamptz,
    seen bigint,
    -- Why the last attempt did not complete; null when it did.
    failure text,
    held_at timestamptz,
    held_known bigint,
    held_missing bigint,
    -- An operator said that a loss of so many is real; kept until the loss is below the threshold.
    confirmed_missing bigint,
    constraint held_whole check (num_nonnulls(held_at, held_known, held_missing) in (0, 3))
);

grant select, insert, update on listings to syncer;
