-- What operators request of one payment is one thing: asked, perhaps approved by a second person, carried out by a worker,
-- answered. It was two tables (ops_refunds, 0013; escrow_wishes, 0021) with the same states, guards and rights.

-- Nobody may write between the copy and the end of this transaction.
LOCK TABLE ops_refunds, escrow_wishes IN ACCESS EXCLUSIVE MODE;

CREATE TABLE operator_requests (
    tenant_id    uuid NOT NULL,
    request_id   uuid NOT NULL DEFAULT uuidv7(),
    kind         text NOT NULL CHECK (kind IN ('refund', 'release', 'hold')),
    payment_id   uuid NOT NULL,
    -- Of a refund: NULL is whatever is left, or what the tickets cost. Of the others: what was in escrow when it was asked.
    amount_minor bigint CHECK (CASE kind WHEN 'refund' THEN amount_minor > 0 ELSE amount_minor >= 0 END),
    currency     currency NOT NULL,
    ticket_ids   uuid[] NOT NULL DEFAULT '{}',
    reason       text,                                             -- the code that a refund carries
    note         text NOT NULL CHECK (note <> ''),                 -- why, in the operator's words
    retry_of     uuid,
    state        text NOT NULL CHECK (state IN ('awaiting_approval', 'asked', 'granted', 'refused', 'withdrawn')),
    state_by     text NOT NULL,
    state_reason text,
    state_since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    refund_id    uuid,                                             -- the refund that came of it
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by  text,
    PRIMARY KEY (tenant_id, request_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, retry_of) REFERENCES refunds,
    FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds,
    CONSTRAINT operator_requests_second_person CHECK (approved_by <> created_by),
    CHECK (approved_by IS NULL OR state IN ('asked', 'granted', 'refused')),
    CHECK (refund_id IS NULL OR state = 'granted'),
    CHECK ((kind = 'refund') = (reason IS NOT NULL)),
    CHECK (kind = 'refund' OR (amount_minor IS NOT NULL AND ticket_ids = '{}' AND num_nonnulls(retry_of, refund_id) = 0))
);

INSERT INTO operator_requests (
    tenant_id, request_id, kind, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state, state_by,
    state_reason, state_since, refund_id, created_by, created_at, approved_by)
SELECT tenant_id, request_id, 'refund', payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state,
       state_by, state_reason, state_since, refund_id, created_by, created_at, approved_by
FROM ops_refunds;
INSERT INTO operator_requests (
    tenant_id, request_id, kind, payment_id, amount_minor, currency, note, state, state_by, state_reason, state_since,
    created_by, created_at, approved_by)
SELECT tenant_id, wish_id, what, payment_id, amount_minor, currency, note, state, state_by, state_reason, state_since,
       created_by, created_at, approved_by
FROM escrow_wishes;

DROP TABLE ops_refunds;
DROP TABLE escrow_wishes;

-- The name of this index is what the previous release looks for when a retry is refused.
CREATE UNIQUE INDEX ops_refunds_retry_once ON operator_requests (tenant_id, retry_of)
    WHERE state IN ('awaiting_approval', 'asked', 'granted');
CREATE INDEX operator_requests_of_payment ON operator_requests (tenant_id, payment_id);
CREATE INDEX operator_requests_waiting ON operator_requests (created_at) WHERE state IN ('awaiting_approval', 'asked');

-- ---------------------------------------------------------------------------------------------------------------
-- Legal moves. What waited for a second person does not go on without one: only an approval leads from there to asked.

DELETE FROM legal_moves WHERE subject IN ('ops_refund', 'escrow_wish');
INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('operator_request', 'awaiting_approval', 'asked'),
    ('operator_request', 'awaiting_approval', 'withdrawn'),
    ('operator_request', 'asked', 'granted'),
    ('operator_request', 'asked', 'refused');
CREATE TRIGGER an_operator_request_moves_legally BEFORE UPDATE ON operator_requests
    FOR EACH ROW EXECUTE FUNCTION guard_move_of('operator_request');

CREATE FUNCTION guard_approval() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'awaiting_approval' AND NEW.state = 'asked' AND NEW.approved_by IS NULL THEN
        RAISE EXCEPTION 'request % waits for the approval of a second person', OLD.request_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.approved_by IS DISTINCT FROM NEW.approved_by AND OLD.state <> 'awaiting_approval' THEN
        RAISE EXCEPTION 'request % was decided: its approval stands', OLD.request_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER an_approval_is_a_second_persons BEFORE UPDATE ON operator_requests
    FOR EACH ROW EXECUTE FUNCTION guard_approval();

-- ---------------------------------------------------------------------------------------------------------------
-- Who may: operators ask, approve and withdraw; what that moves, only workers write.

ALTER TABLE operator_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON operator_requests TO fleet_tenant USING (tenant_id = current_tenant())
    WITH CHECK (tenant_id = current_tenant());
CREATE POLICY platform_reads ON operator_requests FOR SELECT TO fleet_system USING (true);
CREATE POLICY ops_read ON operator_requests FOR SELECT TO fleet_ops USING (true);
CREATE POLICY ops_ask ON operator_requests FOR INSERT TO fleet_ops
    WITH CHECK (state IN ('awaiting_approval', 'asked') AND approved_by IS NULL AND refund_id IS NULL);
CREATE POLICY ops_decide ON operator_requests FOR UPDATE TO fleet_ops USING (state = 'awaiting_approval')
    WITH CHECK (state IN ('asked', 'withdrawn'));
GRANT SELECT ON operator_requests TO fleet_tenant, fleet_system, fleet_ops;
GRANT UPDATE (state, state_by, state_reason, state_since, refund_id) ON operator_requests TO fleet_tenant;
GRANT INSERT ON operator_requests TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, approved_by) ON operator_requests TO fleet_ops;

-- ---------------------------------------------------------------------------------------------------------------
-- For the previous release, which works beside this one for a while (decision 0008), the old names are views of the one
-- table: what either release writes, the other reads, so that a worker of one carries out what an operator of the other has
-- asked for. They have the rights of whoever uses them, and nobody new writes through them. The release after this one
-- drops them.

CREATE VIEW ops_refunds WITH (security_invoker = true) AS
    SELECT tenant_id, request_id, payment_id, amount_minor, currency, ticket_ids, reason, note, retry_of, state, state_by,
           state_reason, state_since, refund_id, created_by, created_at, approved_by, kind
    FROM operator_requests WHERE kind = 'refund';
ALTER VIEW ops_refunds ALTER COLUMN kind SET DEFAULT 'refund';
CREATE VIEW escrow_wishes WITH (security_invoker = true) AS
    SELECT tenant_id, request_id AS wish_id, payment_id, kind AS what, amount_minor, currency, note, state, state_by,
           state_reason, state_since, created_by, created_at, approved_by
    FROM operator_requests WHERE kind IN ('release', 'hold');
GRANT SELECT ON ops_refunds, escrow_wishes TO fleet_tenant, fleet_system, fleet_ops;
GRANT INSERT ON ops_refunds, escrow_wishes TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, approved_by) ON ops_refunds, escrow_wishes TO fleet_ops;
GRANT UPDATE (state, state_by, state_reason, state_since, refund_id) ON ops_refunds TO fleet_tenant;
GRANT UPDATE (state, state_by, state_reason, state_since) ON escrow_wishes TO fleet_tenant;

-- ---------------------------------------------------------------------------------------------------------------
-- Files and functions that moved with it, so that their dead letters keep their group.

SELECT move_source_file('workers/operators/refund.py', 'workers/operators/carry_out.py');
SELECT move_source_file('workers/operators/release.py', 'workers/operators/carry_out.py');
SELECT move_source_file('db/operators/refund_requests.py', 'db/operators/requests.py');
SELECT move_source_file('db/operators/release_requests.py', 'db/operators/requests.py');
SELECT move_source_file('outbox/requests/refunds.py:request_capture', 'outbox/requests/captures.py:request_capture');
SELECT move_source_file(
    'outbox/requests/refunds.py:request_cancellation', 'outbox/requests/cancellations.py:request_cancellation');
SELECT move_source_file(
    'outbox/requests/orders.py:note_when_events_end', 'outbox/requests/event_schedule.py:note_when_events_end');
