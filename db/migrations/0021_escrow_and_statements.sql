-- Escrow as people steer it, and the weekly settlement of those who chose it.

-- ---------------------------------------------------------------------------------------------------------------
-- A person may keep a payment's shares in escrow beyond its end; only a person lets them go then.

ALTER TABLE distributions
    ADD COLUMN held_at      timestamptz,
    ADD COLUMN held_by      text,
    ADD COLUMN held_because text,
    ADD CHECK (num_nulls(held_at, held_by, held_because) IN (0, 3));
GRANT UPDATE (held_at, held_by, held_because) ON distributions TO fleet_tenant;

-- What operators want of escrow: a wish that a worker carries out, because an operator's process may not write money.
CREATE TABLE escrow_wishes (
    tenant_id    uuid NOT NULL,
    wish_id      uuid NOT NULL DEFAULT uuidv7(),
    payment_id   uuid NOT NULL,
    what         text NOT NULL CHECK (what IN ('release', 'hold')),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),        -- what was in escrow when it was asked for
    currency     currency NOT NULL,
    note         text NOT NULL CHECK (note <> ''),
    state        text NOT NULL CHECK (state IN ('awaiting_approval', 'asked', 'granted', 'refused', 'withdrawn')),
    state_by     text NOT NULL,
    state_reason text,
    state_since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by  text,
    PRIMARY KEY (tenant_id, wish_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES distributions,
    CHECK (approved_by <> created_by)                              -- four eyes are two people
);
CREATE INDEX escrow_wishes_of_payment ON escrow_wishes (tenant_id, payment_id);
CREATE INDEX escrow_wishes_waiting ON escrow_wishes (created_at) WHERE state IN ('awaiting_approval', 'asked');

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('escrow_wish', 'awaiting_approval', 'asked'),
    ('escrow_wish', 'awaiting_approval', 'withdrawn'),
    ('escrow_wish', 'asked', 'granted'),
    ('escrow_wish', 'asked', 'refused');
CREATE TRIGGER an_escrow_wish_moves_legally BEFORE UPDATE ON escrow_wishes
    FOR EACH ROW EXECUTE FUNCTION guard_move_of('escrow_wish');

-- ---------------------------------------------------------------------------------------------------------------
-- Weekly settlement: one statement and one transfer a week, recipient and currency.

CREATE TABLE statements (
    tenant_id    uuid NOT NULL,
    statement_id uuid NOT NULL DEFAULT uuidv7(),
    recipient_id uuid NOT NULL,
    number       integer NOT NULL CHECK (number >= 1),             -- counts up from 1 for each recipient
    currency     currency NOT NULL,
    until        timestamptz NOT NULL,                             -- what was released before, and was not paid yet
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),         -- of its lines, before netting
    netted_minor bigint NOT NULL CHECK (netted_minor BETWEEN 0 AND amount_minor),
    transfer_id  uuid NOT NULL,                                    -- the one that is to pay it: another after a refusal
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, statement_id),
    UNIQUE (tenant_id, recipient_id, number),
    UNIQUE (tenant_id, recipient_id, currency, until),
    FOREIGN KEY (tenant_id, recipient_id) REFERENCES recipients,
    FOREIGN KEY (tenant_id, transfer_id) REFERENCES transfers
);
CREATE INDEX statements_of_transfer ON statements (tenant_id, transfer_id);

-- ---------------------------------------------------------------------------------------------------------------
-- What the sweep of shares looks for.

CREATE INDEX share_returns_by_time ON share_returns (at);
CREATE INDEX recipients_weekly ON recipients (tenant_id, recipient_id) WHERE settlement = 'weekly';

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['escrow_wishes', 'statements'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO fleet_tenant USING (tenant_id = current_tenant()) '
            'WITH CHECK (tenant_id = current_tenant())', owned);
        EXECUTE format('CREATE POLICY platform_reads ON %I FOR SELECT TO fleet_system USING (true)', owned);
        EXECUTE format('CREATE POLICY ops_read ON %I FOR SELECT TO fleet_ops USING (true)', owned);
        EXECUTE format('GRANT SELECT ON %I TO fleet_tenant, fleet_system, fleet_ops', owned);
    END LOOP;
END
$$;
GRANT INSERT ON statements TO fleet_tenant;
GRANT UPDATE (amount_minor, netted_minor, transfer_id) ON statements TO fleet_tenant;
GRANT UPDATE (state, state_by, state_reason, state_since) ON escrow_wishes TO fleet_tenant;

-- Operators ask; what that moves, only workers write.
CREATE POLICY ops_ask ON escrow_wishes FOR INSERT TO fleet_ops
    WITH CHECK (state IN ('awaiting_approval', 'asked') AND approved_by IS NULL);
CREATE POLICY ops_decide ON escrow_wishes FOR UPDATE TO fleet_ops USING (state = 'awaiting_approval')
    WITH CHECK (state IN ('asked', 'withdrawn'));
GRANT INSERT ON escrow_wishes TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, approved_by) ON escrow_wishes TO fleet_ops;

DROP POLICY ops_queue ON outbox;
CREATE POLICY ops_queue ON outbox FOR INSERT TO fleet_ops WITH CHECK (kind IN (
    'classify', 'replay', 'cancel_event', 'ops_refund', 'dispute_evidence', 'dispute_close', 'dispute_lookup',
    'ops_escrow', 'account_lookup'));

-- A tenant's worker whose transfer was refused wants the account looked at, which is the platform's and no tenant's.
CREATE POLICY asks_about_accounts ON outbox FOR INSERT TO fleet_tenant
    WITH CHECK (tenant_id IS NULL AND kind = 'account_lookup');
