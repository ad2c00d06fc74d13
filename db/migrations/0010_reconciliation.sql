-- Reconciliation: cases, the sweep over Stripe's events, the bank's lines beside the book's, the chain over journals,
-- and the one way in which old rows may go.

-- ---------------------------------------------------------------------------------------------------------------
-- Cases: what does not fit, one open case for each thing and way. A case closes when the next look finds nothing wrong,
-- or when a person says why it may stay as it is; then the same finding is not opened again.

CREATE TABLE reconciliation_cases (
    case_id          uuid PRIMARY KEY DEFAULT uuidv7(),
    type             text NOT NULL CHECK (type IN (
                         'missing_in_book', 'missing_at_stripe', 'amount_differs', 'unknown_tenant',
                         'payout_unexplained', 'event_unmatched', 'refund_failed', 'refund_stuck',
                         'dispute_evidence_due', 'authorization_expiring')),
    subject          text NOT NULL CHECK (subject <> ''),           -- Stripe's object, or our id of what it is about
    tenant_id        uuid REFERENCES tenants,                       -- NULL: nobody knows whose it is
    payment_id       uuid,
    amount_minor     bigint,                                        -- what is not explained, signed as at the bank
    currency         currency,
    details          text NOT NULL,
    suggested_action text NOT NULL,
    state            text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    opened_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    times_seen       integer NOT NULL DEFAULT 1 CHECK (times_seen >= 1),
    auto_fix_after   timestamptz,                                   -- when a worker may ask Stripe again by itself
    auto_fixed_at    timestamptz,
    closed_at        timestamptz,
    closed_by        text,
    closed_because   text,
    accepted         boolean NOT NULL DEFAULT false,                -- closed by a person, although nothing changed
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_by IS NULL) = (closed_because IS NULL)),
    CHECK (closed_because <> ''),
    CHECK (state = 'closed' OR NOT accepted)
);
CREATE UNIQUE INDEX reconciliation_cases_open ON reconciliation_cases (type, subject) WHERE state = 'open';
CREATE INDEX reconciliation_cases_of_subject ON reconciliation_cases (subject);
CREATE INDEX reconciliation_cases_of_payment ON reconciliation_cases (payment_id) WHERE payment_id IS NOT NULL;

CREATE FUNCTION guard_case() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'closed' THEN
        RAISE EXCEPTION 'case % is closed; what is found again is a new case', OLD.case_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.case_id, NEW.type, NEW.subject, NEW.opened_at) <> (OLD.case_id, OLD.type, OLD.subject, OLD.opened_at) THEN
        RAISE EXCEPTION 'case %: what it is about cannot change', OLD.case_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_case_closes_once BEFORE UPDATE ON reconciliation_cases
    FOR EACH ROW EXECUTE FUNCTION guard_case();
CREATE TRIGGER reconciliation_cases_are_kept BEFORE DELETE OR TRUNCATE ON reconciliation_cases
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE reconciliation_cases ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON reconciliation_cases TO fleet_tenant
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY platform_finds ON reconciliation_cases TO fleet_system USING (true) WITH CHECK (true);
CREATE POLICY ops_read ON reconciliation_cases FOR SELECT TO fleet_ops USING (true);
CREATE POLICY ops_close ON reconciliation_cases FOR UPDATE TO fleet_ops USING (true) WITH CHECK (state = 'closed');
GRANT SELECT ON reconciliation_cases TO fleet_tenant, fleet_system, fleet_ops;
GRANT INSERT ON reconciliation_cases TO fleet_tenant, fleet_system;
GRANT UPDATE (tenant_id, payment_id, amount_minor, currency, details, seen_at, times_seen, auto_fixed_at, state, closed_at,
              closed_by, closed_because)
    ON reconciliation_cases TO fleet_tenant, fleet_system;
GRANT UPDATE (state, closed_at, closed_by, closed_because, accepted) ON reconciliation_cases TO fleet_ops;

-- ---------------------------------------------------------------------------------------------------------------
-- The sweep over Stripe's list of events: how far it is, and by which road each event came here first.

CREATE TABLE event_sweep (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    swept_until timestamptz NOT NULL,                               -- every event created before is listed and stored
    moved_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE webhook_inbox
    ADD COLUMN came_by text NOT NULL DEFAULT 'webhook' CHECK (came_by IN ('webhook', 'sweep')),
    ADD COLUMN listed_at timestamptz;                               -- when the sweep saw it in Stripe's list, and counted it

CREATE TABLE event_coverage (
    hour          timestamptz PRIMARY KEY,                          -- of the event, not of its arrival
    by_webhook    bigint NOT NULL CHECK (by_webhook >= 0),
    only_by_sweep bigint NOT NULL CHECK (only_by_sweep >= 0),
    listed        bigint NOT NULL GENERATED ALWAYS AS (by_webhook + only_by_sweep) STORED,
    counted_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON event_sweep, event_coverage TO fleet_system, fleet_ops;
GRANT INSERT, UPDATE ON event_sweep, event_coverage TO fleet_system;
GRANT UPDATE (listed_at) ON webhook_inbox TO fleet_system;

-- ---------------------------------------------------------------------------------------------------------------
-- The chain over the ledger: one link for each journal with its entries, made off the hot path (workers/seal_ledger.py).
-- Whoever changes, removes or slips in a journal or an entry later breaks it; db/ledger_chain.py walks it.

-- What both chains (this and the operator log) hash: the hash before, and the content.
CREATE FUNCTION chain_hash(previous_hash bytea, content jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(previous_hash || convert_to(content::text, 'UTF8'));

CREATE OR REPLACE FUNCTION operator_log_hash(
    seq bigint, at timestamptz, operator text, action text, subject jsonb, reason text, previous_hash bytea
) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN chain_hash(previous_hash, jsonb_build_array(
    seq, floor(extract(epoch FROM at) * 1000000)::bigint, operator, action, subject, reason));

-- The transaction that posted a journal. Journals become visible in the order of their commits, not of their ids, so
-- "everything after the last one" would skip a late commit. A transaction below the xmin of a snapshot has ended: its
-- journals are visible or never will be (PAINS: outbox by sequence number).
ALTER TABLE ledger_journals ADD COLUMN posted_by xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX ledger_journals_by_transaction ON ledger_journals (posted_by);

CREATE TABLE ledger_chain (
    seq           bigint PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    journal_id    uuid NOT NULL,
    sealed_at     timestamptz NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL,
    UNIQUE (tenant_id, journal_id),
    FOREIGN KEY (tenant_id, journal_id) REFERENCES ledger_journals
);

-- Every journal posted by a transaction below the horizon is sealed.
CREATE TABLE ledger_horizon (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    horizon   xid8 NOT NULL
);
INSERT INTO ledger_horizon (horizon) VALUES ('0');

CREATE FUNCTION ledger_journal_content(seq bigint, tenant uuid, journal uuid) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT jsonb_build_array(
        seq, j.tenant_id, j.journal_id, j.kind, j.source_id, j.payment_id,
        floor(extract(epoch FROM j.posted_at) * 1000000)::bigint,
        (SELECT jsonb_agg(jsonb_build_array(e.line, a.code, a.venue_id, e.amount_minor, e.currency) ORDER BY e.line)
         FROM ledger_entries e JOIN ledger_accounts a USING (tenant_id, account_id)
         WHERE e.tenant_id = j.tenant_id AND e.journal_id = j.journal_id))
    FROM ledger_journals j WHERE j.tenant_id = tenant AND j.journal_id = journal);

CREATE FUNCTION chain_ledger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    last ledger_chain;
BEGIN
    PERFORM pg_advisory_xact_lock(1818584946);
    SELECT * INTO last FROM ledger_chain ORDER BY seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.sealed_at := clock_timestamp();
    NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := chain_hash(NEW.previous_hash, ledger_journal_content(NEW.seq, NEW.tenant_id, NEW.journal_id));
    RETURN NEW;
END
$$;
CREATE TRIGGER the_ledger_is_a_chain BEFORE INSERT ON ledger_chain FOR EACH ROW EXECUTE FUNCTION chain_ledger();
CREATE TRIGGER the_ledger_chain_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON ledger_chain, ledger_horizon TO fleet_system, fleet_ops;
GRANT INSERT (tenant_id, journal_id) ON ledger_chain TO fleet_system;
GRANT UPDATE (horizon) ON ledger_horizon TO fleet_system;
