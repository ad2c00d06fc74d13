-- Disputes and early fraud warnings: what the buyer's bank says, and the money it takes and gives back.

ALTER TABLE venues ADD COLUMN refund_policy_text text CHECK (length(refund_policy_text) BETWEEN 1 AND 20000);

-- A dispute lives at Stripe and is only looked at, so it may make several steps between two looks: a legal move is
-- whatever a way of steps leads to (db/lifecycle.py).
WITH RECURSIVE steps (from_state, to_state) AS (
    VALUES
        ('warning_needs_response', 'warning_under_review'),
        ('warning_needs_response', 'warning_closed'),
        ('warning_needs_response', 'needs_response'),
        ('warning_needs_response', 'prevented'),
        ('warning_under_review', 'warning_closed'),
        ('warning_under_review', 'needs_response'),
        ('warning_under_review', 'prevented'),
        ('needs_response', 'under_review'),
        ('needs_response', 'won'),
        ('needs_response', 'lost'),
        ('needs_response', 'prevented'),
        ('under_review', 'won'),
        ('under_review', 'lost'),
        ('under_review', 'prevented'),
        ('lost', 'won'),
        ('lost', 'appeal_needs_response'),
        ('appeal_needs_response', 'appeal_under_review'),
        ('appeal_needs_response', 'won'),
        ('appeal_needs_response', 'lost'),
        ('appeal_under_review', 'won'),
        ('appeal_under_review', 'lost')
), ways AS (
    SELECT from_state, to_state FROM steps
    UNION
    SELECT ways.from_state, steps.to_state FROM ways JOIN steps ON steps.from_state = ways.to_state
)
INSERT INTO legal_moves (subject, from_state, to_state)
SELECT 'dispute', from_state, to_state FROM ways WHERE from_state <> to_state;

-- ---------------------------------------------------------------------------------------------------------------
-- Disputes

CREATE TABLE disputes (
    tenant_id               uuid NOT NULL,
    dispute_id              text NOT NULL CHECK (dispute_id <> ''),      -- Stripe's
    payment_id              uuid NOT NULL,
    charge_id               text NOT NULL,
    amount_minor            bigint NOT NULL CHECK (amount_minor > 0),
    currency                currency NOT NULL,
    reason                  text NOT NULL,
    status                  text NOT NULL CHECK (status IN (
                                'warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response',
                                'under_review', 'won', 'lost', 'appeal_needs_response', 'appeal_under_review',
                                'prevented')),
    track                   text NOT NULL GENERATED ALWAYS AS (
                                CASE WHEN starts_with(status, 'warning_') THEN 'inquiry' ELSE 'chargeback' END) STORED,
    status_by               text NOT NULL,
    status_since            timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq             integer NOT NULL DEFAULT 1,
    -- Each stage is answered anew: evidence, wish and submission belong to the stage that runs.
    stage                   text NOT NULL CHECK (stage IN ('inquiry', 'chargeback', 'appeal')),
    evidence_due_at         timestamptz,
    evidence                jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(evidence) = 'object'),
    evidence_by             text NOT NULL DEFAULT 'fleet',               -- who wrote the draft as it stands
    wish                    text CHECK (wish IN ('submit', 'accept')),   -- what an operator decided; done by a worker
    wish_id                 uuid,
    wish_at                 timestamptz,
    wish_by                 text,
    wish_refused            text,                                        -- why Stripe did not do the last one
    submitted_at            timestamptz,
    card_facts              jsonb,                                       -- of the charge: checks, 3-D Secure, risk
    -- The loss, once it is booked, and whose it was; taken back when a lost dispute is won after all.
    lost_minor              bigint,
    lost_obligation_minor   bigint,
    lost_platform_fee_minor bigint,
    loss_reversed           boolean NOT NULL DEFAULT false,
    looks                   integer NOT NULL DEFAULT 1 CHECK (looks >= 1),
    looked_at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    opened_at               timestamptz NOT NULL,                        -- by Stripe's clock
    PRIMARY KEY (tenant_id, dispute_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK (num_nulls(wish, wish_id, wish_at, wish_by) IN (0, 4)),
    CHECK (num_nulls(lost_minor, lost_obligation_minor, lost_platform_fee_minor) IN (0, 3)),
    CHECK (lost_minor > 0 AND lost_obligation_minor >= 0 AND lost_platform_fee_minor >= 0
           AND lost_obligation_minor + lost_platform_fee_minor <= lost_minor),
    CHECK (lost_minor IS NOT NULL OR NOT loss_reversed)
);
CREATE UNIQUE INDEX disputes_at_stripe ON disputes (dispute_id);
CREATE INDEX disputes_of_payment ON disputes (payment_id);
CREATE INDEX disputes_open ON disputes (looked_at) WHERE status NOT IN ('won', 'lost', 'warning_closed', 'prevented');
CREATE INDEX disputes_to_answer ON disputes (evidence_due_at)
    WHERE submitted_at IS NULL
      AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response');

CREATE TABLE dispute_history (
    tenant_id   uuid NOT NULL,
    dispute_id  text NOT NULL,
    seq         integer NOT NULL CHECK (seq >= 1),
    from_status text,
    to_status   text NOT NULL,
    by          text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, dispute_id, seq),
    FOREIGN KEY (tenant_id, dispute_id) REFERENCES disputes,
    CHECK ((seq = 1) = (from_status IS NULL))
);

-- Money by balance transaction, each booked with one journal. Signed as at the bank: what was taken is negative.
CREATE TABLE dispute_movements (
    tenant_id              uuid NOT NULL,
    balance_transaction_id text NOT NULL CHECK (balance_transaction_id <> ''),
    dispute_id             text NOT NULL,
    category               text NOT NULL CHECK (category IN ('dispute', 'dispute_reversal')),
    amount_minor           bigint NOT NULL,                              -- in the dispute's currency
    currency               currency NOT NULL,
    settled_minor          bigint NOT NULL,                              -- in the balance's
    fee_minor              bigint NOT NULL,
    balance_currency       currency NOT NULL,
    recorded_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, balance_transaction_id),
    FOREIGN KEY (tenant_id, dispute_id) REFERENCES disputes,
    CHECK (CASE category WHEN 'dispute' THEN amount_minor <= 0 ELSE amount_minor >= 0 END),
    CHECK (sign(amount_minor) = sign(settled_minor))
);
CREATE UNIQUE INDEX dispute_movements_at_stripe ON dispute_movements (balance_transaction_id);
CREATE INDEX dispute_movements_of_dispute ON dispute_movements (tenant_id, dispute_id);

CREATE FUNCTION guard_dispute() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.history_seq <> 1 THEN
            RAISE EXCEPTION 'a dispute starts its history at 1' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.dispute_id, NEW.payment_id, NEW.charge_id, NEW.currency)
       IS DISTINCT FROM (OLD.tenant_id, OLD.dispute_id, OLD.payment_id, OLD.charge_id, OLD.currency) THEN
        RAISE EXCEPTION 'dispute %: what it is about cannot change', OLD.dispute_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.stage = OLD.stage AND (OLD.wish IS NOT NULL OR OLD.submitted_at IS NOT NULL)
       AND NEW.evidence IS DISTINCT FROM OLD.evidence THEN
        RAISE EXCEPTION 'dispute %: the evidence is on its way and cannot change', OLD.dispute_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.wish IS NOT NULL AND NEW.wish IS NOT NULL AND NEW.wish_id IS DISTINCT FROM OLD.wish_id THEN
        RAISE EXCEPTION 'dispute %: it is decided already', OLD.dispute_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.lost_minor IS NOT NULL
       AND ((NEW.lost_minor, NEW.lost_obligation_minor, NEW.lost_platform_fee_minor)
            IS DISTINCT FROM (OLD.lost_minor, OLD.lost_obligation_minor, OLD.lost_platform_fee_minor)
            OR OLD.loss_reversed AND NOT NEW.loss_reversed) THEN
        RAISE EXCEPTION 'dispute %: its loss is booked', OLD.dispute_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.status = OLD.status THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'dispute' AND from_state = OLD.status AND to_state = NEW.status;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'dispute %: % -> % is not a legal move', OLD.dispute_id, OLD.status, NEW.status
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.status_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION write_dispute_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dispute_history (tenant_id, dispute_id, seq, from_status, to_status, by)
    VALUES (
        NEW.tenant_id, NEW.dispute_id, NEW.history_seq,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.status_by
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER a_dispute_moves_legally BEFORE INSERT OR UPDATE ON disputes
    FOR EACH ROW EXECUTE FUNCTION guard_dispute();
CREATE TRIGGER a_dispute_start_is_history AFTER INSERT ON disputes
    FOR EACH ROW EXECUTE FUNCTION write_dispute_history();
CREATE TRIGGER a_dispute_move_is_history AFTER UPDATE ON disputes
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION write_dispute_history();
CREATE TRIGGER disputes_are_kept BEFORE DELETE OR TRUNCATE ON disputes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dispute_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dispute_movements_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Early fraud warnings, and what was decided about each, once.

CREATE TABLE early_fraud_warnings (
    tenant_id   uuid NOT NULL,
    warning_id  text NOT NULL CHECK (warning_id <> ''),                  -- Stripe's
    payment_id  uuid NOT NULL,
    charge_id   text NOT NULL,
    fraud_type  text NOT NULL,
    actionable  boolean NOT NULL,
    decision    text NOT NULL CHECK (decision IN ('refund', 'leave', 'nothing')),
    because     text NOT NULL CHECK (because <> ''),
    refund_id   uuid,
    warned_at   timestamptz NOT NULL,                                    -- by Stripe's clock
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, warning_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds,
    CHECK ((decision = 'refund') = (refund_id IS NOT NULL))
);
CREATE UNIQUE INDEX early_fraud_warnings_at_stripe ON early_fraud_warnings (warning_id);
CREATE INDEX early_fraud_warnings_of_payment ON early_fraud_warnings (payment_id);

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['disputes', 'dispute_history', 'dispute_movements', 'early_fraud_warnings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO fleet_tenant USING (tenant_id = current_tenant()) '
            'WITH CHECK (tenant_id = current_tenant())', owned);
        EXECUTE format('CREATE POLICY platform_reads ON %I FOR SELECT TO fleet_system USING (true)', owned);
        EXECUTE format('CREATE POLICY ops_read ON %I FOR SELECT TO fleet_ops USING (true)', owned);
        EXECUTE format('GRANT SELECT ON %I TO fleet_tenant, fleet_system, fleet_ops', owned);
        EXECUTE format('GRANT INSERT ON %I TO fleet_tenant', owned);
    END LOOP;
END
$$;
GRANT UPDATE (amount_minor, reason, status, status_by, status_since, history_seq, stage, evidence_due_at, evidence,
    evidence_by, wish, wish_id, wish_at, wish_by, wish_refused, submitted_at, card_facts, lost_minor,
    lost_obligation_minor, lost_platform_fee_minor, loss_reversed, looks, looked_at) ON disputes TO fleet_tenant;
GRANT UPDATE (actionable) ON early_fraud_warnings TO fleet_tenant;

-- An operator writes the evidence and decides, once, while there is something to decide; workers carry it out.
CREATE POLICY ops_answer ON disputes FOR UPDATE TO fleet_ops
    USING (wish IS NULL AND submitted_at IS NULL
           AND status IN ('warning_needs_response', 'needs_response', 'appeal_needs_response'))
    WITH CHECK (true);
GRANT UPDATE (evidence, evidence_by, wish, wish_id, wish_at, wish_by, wish_refused) ON disputes TO fleet_ops;
DROP POLICY ops_queue ON outbox;
CREATE POLICY ops_queue ON outbox FOR INSERT TO fleet_ops
    WITH CHECK (kind IN ('classify', 'replay', 'dispute_evidence', 'dispute_close'));
