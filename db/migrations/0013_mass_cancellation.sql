-- An event is cancelled: everything its buyers paid goes back, at a pace, with a mark of how far it is. And refunds that
-- operators ask for: wishes that a worker carries out, because an operator's process may not write money.

-- ---------------------------------------------------------------------------------------------------------------
-- The event of an order, as a column of its own. The index of 0008 is over an expression of order_data, and under
-- row-level security PostgreSQL may not use it: `->>` is not leakproof, so it runs only after the policy has, row by row
-- (https://www.postgresql.org/docs/current/ddl-rowsecurity.html). `=` of two uuids is leakproof. Adding a stored column
-- writes the table anew: a few seconds for a million orders, during which intake waits.

ALTER TABLE orders ADD COLUMN ticketed_event_id uuid
    GENERATED ALWAYS AS ((order_data ->> 'event_id')::uuid) STORED;
DROP INDEX orders_of_event;
CREATE INDEX orders_of_event ON orders (tenant_id, ticketed_event_id, order_id);

-- ---------------------------------------------------------------------------------------------------------------
-- Mass cancellations

CREATE TABLE event_cancellations (
    tenant_id           uuid NOT NULL REFERENCES tenants,
    cancellation_id     uuid NOT NULL DEFAULT uuidv7(),
    event_id            uuid NOT NULL,
    note                text NOT NULL,
    state               text NOT NULL CHECK (state IN (
                            'awaiting_approval', 'running', 'waiting_for_balance', 'paused', 'done', 'cancelled')),
    state_by            text NOT NULL,
    state_reason        text,
    state_since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by          text NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by         text,
    off_since           timestamptz,                               -- orders of before are given back, later ones not charged
    rate_per_second     integer NOT NULL DEFAULT 20 CHECK (rate_per_second BETWEEN 1 AND 1000),
    despite_balance     boolean NOT NULL DEFAULT false,            -- go on when Stripe's balance is too small
    -- Only the message that names the present step may take it: a second delivery, and the messages of before a pause,
    -- find another number.
    step                integer NOT NULL DEFAULT 1 CHECK (step >= 1),
    pass                integer NOT NULL DEFAULT 1 CHECK (pass >= 1),
    cursor_order_id     uuid,                                      -- every order up to here was taken in this pass
    moved_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    total               integer NOT NULL CHECK (total >= 0),       -- orders of the event when it was cancelled
    refunds_asked       integer NOT NULL DEFAULT 0 CHECK (refunds_asked >= 0),
    cancellations_asked integer NOT NULL DEFAULT 0 CHECK (cancellations_asked >= 0),
    nothing_left        integer NOT NULL DEFAULT 0 CHECK (nothing_left >= 0),
    refused             integer NOT NULL DEFAULT 0 CHECK (refused >= 0),
    PRIMARY KEY (tenant_id, cancellation_id),
    CHECK (approved_by <> created_by),                             -- four eyes are two people
    CHECK (off_since IS NOT NULL OR state IN ('awaiting_approval', 'cancelled'))
);
CREATE UNIQUE INDEX event_cancellations_once ON event_cancellations (tenant_id, event_id) WHERE state <> 'cancelled';
CREATE INDEX event_cancellations_moving ON event_cancellations (moved_at)
    WHERE state IN ('running', 'waiting_for_balance');

-- Payments that could not be given back; the last pass leaves them alone, a person does not.
CREATE TABLE event_cancellation_refusals (
    tenant_id       uuid NOT NULL,
    cancellation_id uuid NOT NULL,
    payment_id      uuid NOT NULL,
    code            text NOT NULL,
    reason          text NOT NULL,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, cancellation_id, payment_id),
    FOREIGN KEY (tenant_id, cancellation_id) REFERENCES event_cancellations,
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments
);

-- ---------------------------------------------------------------------------------------------------------------
-- Refunds asked for by operators

CREATE TABLE ops_refunds (
    tenant_id    uuid NOT NULL,
    request_id   uuid NOT NULL DEFAULT uuidv7(),
    payment_id   uuid NOT NULL,
    amount_minor bigint CHECK (amount_minor > 0),                  -- NULL: whatever is left, or what the tickets cost
    currency     currency NOT NULL,
    ticket_ids   uuid[] NOT NULL DEFAULT '{}',
    reason       text NOT NULL,
    note         text NOT NULL CHECK (note <> ''),
    retry_of     uuid,
    state        text NOT NULL CHECK (state IN ('awaiting_approval', 'asked', 'granted', 'refused', 'withdrawn')),
    state_by     text NOT NULL,
    state_reason text,
    state_since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    refund_id    uuid,                                             -- what became of it; NULL: the payment is cancelled
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by  text,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, retry_of) REFERENCES refunds,
    FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds,
    CHECK (approved_by <> created_by),
    CHECK (refund_id IS NULL OR state = 'granted')
);
CREATE UNIQUE INDEX ops_refunds_retry_once ON ops_refunds (tenant_id, retry_of)
    WHERE state IN ('awaiting_approval', 'asked', 'granted');
CREATE INDEX ops_refunds_of_payment ON ops_refunds (tenant_id, payment_id);
CREATE INDEX ops_refunds_waiting ON ops_refunds (created_at) WHERE state IN ('awaiting_approval', 'asked');

-- ---------------------------------------------------------------------------------------------------------------
-- Legal moves of both

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('event_cancellation', 'awaiting_approval', 'running'),
    ('event_cancellation', 'awaiting_approval', 'cancelled'),
    ('event_cancellation', 'running', 'waiting_for_balance'),
    ('event_cancellation', 'running', 'paused'),
    ('event_cancellation', 'running', 'done'),
    ('event_cancellation', 'running', 'cancelled'),
    ('event_cancellation', 'waiting_for_balance', 'running'),
    ('event_cancellation', 'waiting_for_balance', 'paused'),
    ('event_cancellation', 'waiting_for_balance', 'cancelled'),
    ('event_cancellation', 'paused', 'running'),
    ('event_cancellation', 'paused', 'cancelled'),
    ('ops_refund', 'awaiting_approval', 'asked'),
    ('ops_refund', 'awaiting_approval', 'withdrawn'),
    ('ops_refund', 'asked', 'granted'),
    ('ops_refund', 'asked', 'refused');

CREATE FUNCTION guard_move_of() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state THEN
        PERFORM FROM legal_moves WHERE subject = TG_ARGV[0] AND from_state = OLD.state AND to_state = NEW.state;
        IF NOT FOUND THEN
            RAISE EXCEPTION '%: % -> % is not a legal move', TG_ARGV[0], OLD.state, NEW.state
                USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.state_since := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER an_event_cancellation_moves_legally BEFORE UPDATE ON event_cancellations
    FOR EACH ROW EXECUTE FUNCTION guard_move_of('event_cancellation');
CREATE TRIGGER an_ops_refund_moves_legally BEFORE UPDATE ON ops_refunds
    FOR EACH ROW EXECUTE FUNCTION guard_move_of('ops_refund');

-- ---------------------------------------------------------------------------------------------------------------
-- No order slips between the intake and a cancellation. The intake holds the event's lock, shared, from before it writes
-- the order to its commit; whoever cancels the event takes it alone. So an order is either committed and received before
-- `off_since`, or its intake sees the cancellation: each statement of a VOLATILE function looks with a fresh snapshot, and
-- the lock is held by then.

CREATE FUNCTION event_lock(tenant uuid, event uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(tenant::text || event::text, 13);

CREATE FUNCTION cancelled_among(events uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(event_lock(current_tenant(), wanted.event))
    FROM (SELECT DISTINCT unnest(events) AS event ORDER BY 1) AS wanted;
    RETURN QUERY
        SELECT c.event_id FROM event_cancellations c
        WHERE c.tenant_id = current_tenant() AND c.event_id = ANY (events)
          AND c.state NOT IN ('awaiting_approval', 'cancelled');
END
$$;

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['event_cancellations', 'event_cancellation_refusals', 'ops_refunds'] LOOP
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
GRANT INSERT ON event_cancellations, event_cancellation_refusals TO fleet_tenant;
GRANT UPDATE (state, state_by, state_reason, state_since, step, pass, cursor_order_id, moved_at, total, refunds_asked,
              cancellations_asked, nothing_left, refused)
    ON event_cancellations TO fleet_tenant;
GRANT UPDATE (state, state_by, state_reason, state_since, refund_id) ON ops_refunds TO fleet_tenant;

-- Operators cancel events and ask for refunds; what that moves, only workers write.
CREATE POLICY ops_cancel ON event_cancellations FOR INSERT TO fleet_ops WITH CHECK (
    state IN ('awaiting_approval', 'running') AND approved_by IS NULL AND step = 1 AND pass = 1
    AND cursor_order_id IS NULL AND refunds_asked + cancellations_asked + nothing_left + refused = 0);
CREATE POLICY ops_steer ON event_cancellations FOR UPDATE TO fleet_ops USING (true)
    WITH CHECK (state IN ('running', 'paused', 'cancelled'));
GRANT INSERT ON event_cancellations TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, step, moved_at, total, off_since, approved_by, despite_balance, rate_per_second)
    ON event_cancellations TO fleet_ops;
CREATE POLICY ops_ask ON ops_refunds FOR INSERT TO fleet_ops
    WITH CHECK (state IN ('awaiting_approval', 'asked') AND approved_by IS NULL AND refund_id IS NULL);
CREATE POLICY ops_decide ON ops_refunds FOR UPDATE TO fleet_ops USING (state = 'awaiting_approval')
    WITH CHECK (state IN ('asked', 'withdrawn'));
GRANT INSERT ON ops_refunds TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, approved_by) ON ops_refunds TO fleet_ops;

-- All that an operator's process may queue; each of these is judged again by the worker that takes it.
DROP POLICY IF EXISTS ops_queue ON outbox;
CREATE POLICY ops_queue ON outbox FOR INSERT TO fleet_ops WITH CHECK (kind IN (
    'classify', 'replay', 'cancel_event', 'ops_refund', 'dispute_evidence', 'dispute_close', 'dispute_lookup'));
