-- What operators hold back: the charges, or everything, of a tenant or one of its venues. Refunds go on unless it says
-- `all`. A pause is never deleted: it ends by its time, or is lifted once, by somebody with a name.

CREATE TABLE pauses (
    pause_id    uuid PRIMARY KEY DEFAULT uuidv7(),
    tenant_id   uuid NOT NULL REFERENCES tenants,
    venue_id    uuid,                                              -- NULL: the whole tenant
    scope       text NOT NULL GENERATED ALWAYS AS (CASE WHEN venue_id IS NULL THEN 'tenant' ELSE 'venue' END) STORED,
    what        text NOT NULL CHECK (what IN ('charges', 'all')),
    reason      text NOT NULL CHECK (reason <> ''),
    paused_by   text NOT NULL CHECK (paused_by <> ''),
    paused_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at     timestamptz CHECK (ends_at > paused_at),           -- NULL: until it is lifted
    lifted_at   timestamptz,
    lifted_by   text CHECK (lifted_by <> ''),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
CREATE INDEX pauses_not_lifted ON pauses (tenant_id) WHERE lifted_at IS NULL;

ALTER TABLE pauses ENABLE ROW LEVEL SECURITY;
-- Workers read all of them at once, as the platform; tenants have no business here.
CREATE POLICY platform_reads ON pauses FOR SELECT TO fleet_system USING (true);
CREATE POLICY ops_read ON pauses FOR SELECT TO fleet_ops USING (true);
CREATE POLICY ops_pause ON pauses FOR INSERT TO fleet_ops WITH CHECK (lifted_at IS NULL);
CREATE POLICY ops_lift ON pauses FOR UPDATE TO fleet_ops USING (lifted_at IS NULL) WITH CHECK (lifted_at IS NOT NULL);
GRANT SELECT ON pauses TO fleet_system, fleet_ops;
GRANT INSERT (tenant_id, venue_id, what, reason, paused_by, ends_at) ON pauses TO fleet_ops;
GRANT UPDATE (lifted_at, lifted_by) ON pauses TO fleet_ops;
