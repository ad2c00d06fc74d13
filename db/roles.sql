-- Run by a superuser before `fleet migrate`, and again whenever it has changed: it only adds what is missing. The
-- one-machine stack does it by itself at every start.
-- Passwords are set apart, by whoever keeps them.
--
--   fleet_owner   owns the schema and runs migrations; no process of the fleet logs in with it.
--   fleet         what every process logs in with. NOINHERIT: by itself it can read nothing, so that a statement outside
--                 transaction(tenant) or system_transaction() fails instead of seeing every tenant.
--   fleet_tenant  what transaction(tenant) becomes: sees the rows of one tenant, by row-level security.
--   fleet_system  what system_transaction() becomes: relay, scheduler, sweep, verify; may read across tenants and move
--                 the outbox, but cannot write a payment or the ledger.
--   fleet_ops     what ops_transaction() becomes: the ops command and console; reads everything as it is stored,
--                 writes replay batches and the operator log, and cannot write a payment or the ledger.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'fleet_owner LOGIN',
        'fleet LOGIN NOINHERIT NOBYPASSRLS',
        'fleet_tenant NOLOGIN NOBYPASSRLS',
        'fleet_system NOLOGIN NOBYPASSRLS',
        'fleet_ops NOLOGIN NOBYPASSRLS'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(wanted, ' ', 1)) THEN
            EXECUTE 'CREATE ROLE ' || wanted;
        END IF;
    END LOOP;
END
$$;
GRANT fleet_tenant, fleet_system, fleet_ops TO fleet;
-- Whose snapshot keeps VACUUM from its work, for the scheduler's gauge: the times of all sessions (and, with them, the
-- texts of their statements, whose values travel apart).
GRANT pg_read_all_stats TO fleet_system;
