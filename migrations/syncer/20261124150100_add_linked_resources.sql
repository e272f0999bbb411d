-- A snapshot or backup is part of the deployment that its droplet is linked to, without being linked itself; it must
-- follow when the droplet's link changes, and what an operator linked must not. The deployment alone does not tell
-- the two apart.

alter table cloud_resources
    add column linked boolean not null default false,
    add constraint linked_to_something check (deployment_id is not null or not linked);
