-- Run by a superuser before `fleet migrate`, and again whenever it has changed: it only adds what is missing. The
-- one-machine stack does it by itself at every start.
-- Passwords are set apart, by whoever keeps them.
--
--   fleet_owner   owns the schema and runs migrations; no process of the fleet logs in with it.
--   fleet         what every process of the one-machine stack logs in with. NOINHERIT: by itself it can read nothing, so
--                 that a statement outside transaction(tenant) or system_transaction() fails instead of seeing every
--                 tenant.
--   fleet_relay, fleet_scheduler, fleet_minter, fleet_dead_letters, fleet_intake, fleet_worker, fleet_console
--                 the same, one for each kind of process, and each may become only what its code becomes: a relay that
--                 is broken into can write no payment, and the console cannot act as a tenant.
--   fleet_tenant  what transaction(tenant) becomes: sees the rows of one tenant, by row-level security.
--   fleet_system  what system_transaction() becomes: relay, scheduler, sweep, verify; may read across tenants and move
--                 the outbox, but cannot write a payment or the ledger.
--   fleet_mover   what the relay becomes: sees and settles rows of the outbox and nothing else, no payment, no tenant.
--   fleet_ops     what ops_transaction() becomes: the ops command and console; reads everything as it is stored,
--                 writes replay batches and the operator log, and cannot write a payment or the ledger.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'fleet_owner LOGIN',
        'fleet LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_relay LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_scheduler LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_minter LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_dead_letters LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_intake LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_worker LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_console LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_tenant NOLOGIN NOBYPASSRLS',
        'fleet_system NOLOGIN NOBYPASSRLS',
        'fleet_mover NOLOGIN NOBYPASSRLS',
        'fleet_ops NOLOGIN NOBYPASSRLS'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(wanted, ' ', 1)) THEN
            EXECUTE 'CREATE ROLE ' || wanted;
        END IF;
    END LOOP;
END
$$;
GRANT fleet_tenant, fleet_system, fleet_mover, fleet_ops TO fleet;
GRANT fleet_mover TO fleet_relay;
GRANT fleet_system TO fleet_scheduler, fleet_minter, fleet_dead_letters;
GRANT fleet_tenant, fleet_system TO fleet_intake, fleet_worker;
GRANT fleet_ops TO fleet_console;
-- Whose snapshot keeps VACUUM from its work, for the scheduler's gauge: the times of all sessions (and, with them, the
-- texts of their statements, whose values travel apart).
GRANT pg_read_all_stats TO fleet_system;
