-- The relay carries every message of every tenant and needs to know none of it: a role that sees the outbox alone. Run
-- db/roles.sql first, which makes it. fleet_system keeps what it may, so that a relay of the previous release goes on.
GRANT USAGE ON SCHEMA public TO fleet_mover;
CREATE POLICY mover_moves ON outbox TO fleet_mover USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON outbox TO fleet_mover;
GRANT UPDATE (due_at, refusals) ON outbox TO fleet_mover;
GRANT SELECT, UPDATE ON outbox_lanes TO fleet_mover;  -- UPDATE only for FOR UPDATE; the rows never change
