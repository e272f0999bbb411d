-- What a parked message waits for: whoever learns of the thing takes it up again, without an operator.

alter table parked add column waits_for text;
create index parked_by_waits_for on parked (waits_for, id) where waits_for is not null and status = 'parked';
