-- Money that goes back: refunds, cancellations and captures.
--
-- A refund reserves its amount on the charge when it is asked for, under the charge's row lock, and the charge's own
-- CHECK refuses what would pass the captured amount: whoever asks, through whichever door, and however many at once
-- (M3). A refund that fails, is canceled or refused gives its reservation back.

ALTER TABLE venues
    -- Whether the platform's fee comes back, in proportion, with a refund.
    ADD COLUMN refund_fee_policy text NOT NULL DEFAULT 'returned' CHECK (refund_fee_policy IN ('returned', 'kept')),
    ADD COLUMN early_fraud_policy text NOT NULL DEFAULT 'leave' CHECK (early_fraud_policy IN ('refund', 'leave'));

-- ---------------------------------------------------------------------------------------------------------------
-- Wishes about a payment that are kept on it until Stripe has carried them out.

ALTER TABLE payments
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancel_reason text,
    ADD COLUMN cancel_requested_by text,
    ADD COLUMN capture_requested_minor bigint,
    ADD COLUMN capture_before timestamptz,                         -- Stripe's deadline of an authorisation
    ADD CONSTRAINT payments_wish_to_cancel
        CHECK (num_nulls(cancel_requested_at, cancel_reason, cancel_requested_by) IN (0, 3)),
    ADD CONSTRAINT payments_wish_to_capture CHECK (capture_requested_minor BETWEEN 1 AND amount_minor);

-- A payment that never reached Stripe is canceled without it, and then has no fee either.
INSERT INTO legal_moves (subject, from_state, to_state) VALUES ('payment', 'requested', 'canceled');
DO $$
DECLARE
    old text;
BEGIN
    SELECT conname INTO STRICT old FROM pg_constraint
    WHERE conrelid = 'payments'::regclass AND contype = 'c'
      AND pg_get_constraintdef(oid) LIKE '%''requested''%platform_fee_minor IS NOT NULL%';
    EXECUTE format('ALTER TABLE payments DROP CONSTRAINT %I', old);
END
$$;
ALTER TABLE payments ADD CONSTRAINT payments_fee_check
    CHECK (state IN ('requested', 'canceled') OR platform_fee_minor IS NOT NULL);

CREATE INDEX payments_held ON payments (capture_before) WHERE state = 'authorized';
CREATE INDEX payments_to_cancel ON payments (cancel_requested_at)
    WHERE cancel_requested_at IS NOT NULL AND state NOT IN ('succeeded', 'canceled');

GRANT UPDATE (cancel_requested_at, cancel_reason, cancel_requested_by, capture_requested_minor, capture_before)
    ON payments TO fleet_tenant;

CREATE INDEX orders_of_event ON orders (tenant_id, ((order_data ->> 'event_id')));

-- ---------------------------------------------------------------------------------------------------------------
-- Refunds

ALTER TABLE charges
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT charges_refunds_within_captured CHECK (refunded_minor BETWEEN 0 AND amount_minor);

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('refund', 'requested', 'sending'),
    ('refund', 'sending', 'pending'),
    ('refund', 'sending', 'requires_action'),
    ('refund', 'sending', 'succeeded'),
    ('refund', 'sending', 'failed'),
    ('refund', 'sending', 'canceled'),
    ('refund', 'sending', 'refused'),
    ('refund', 'pending', 'requires_action'),
    ('refund', 'pending', 'succeeded'),
    ('refund', 'pending', 'failed'),
    ('refund', 'pending', 'canceled'),
    ('refund', 'requires_action', 'pending'),
    ('refund', 'requires_action', 'succeeded'),
    ('refund', 'requires_action', 'failed'),
    ('refund', 'requires_action', 'canceled'),
    -- The buyer's bank may send the money back for thirty days (docs.stripe.com/refunds#failed-refunds).
    ('refund', 'succeeded', 'failed');

CREATE TABLE refunds (
    tenant_id                      uuid NOT NULL,
    refund_id                      uuid NOT NULL DEFAULT uuidv7(),
    payment_id                     uuid NOT NULL,
    amount_minor                   bigint NOT NULL CHECK (amount_minor > 0),
    currency                       currency NOT NULL,
    reason                         text NOT NULL CHECK (reason IN (
                                       'requested_by_customer', 'duplicate', 'fraudulent', 'order_cancelled',
                                       'event_cancelled', 'late_success', 'early_fraud_warning', 'outside')),
    note                           text NOT NULL DEFAULT '',
    source                         text NOT NULL CHECK (source IN (
                                       'order_event', 'api', 'ops', 'event_cancellation', 'late_success',
                                       'early_fraud_warning', 'outside')),
    request_key                    text NOT NULL CHECK (length(request_key) BETWEEN 1 AND 600),
    requested_by                   text NOT NULL,
    stripe_refund_id               text,
    state                          text NOT NULL DEFAULT 'requested' CHECK (state IN (
                                       'requested', 'sending', 'pending', 'requires_action', 'succeeded', 'failed',
                                       'canceled', 'refused')),
    state_reason                   text,
    state_by                       text NOT NULL,
    state_since                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq                    integer NOT NULL DEFAULT 1,
    -- What the books did with it, once: of the amount, so much paid an obligation that an earlier refund had left open,
    -- and so much was the platform's own fee; the venue gave the rest.
    balance_transaction_id         text,
    obligation_minor               bigint,
    platform_fee_minor             bigint,
    failure_balance_transaction_id text,
    created_at                     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, refund_id),
    UNIQUE (tenant_id, request_key),                               -- one request, one refund
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK (num_nulls(balance_transaction_id, obligation_minor, platform_fee_minor) IN (0, 3)),
    CHECK (obligation_minor >= 0 AND platform_fee_minor >= 0
           AND obligation_minor + platform_fee_minor <= amount_minor),
    CHECK (state NOT IN ('pending', 'requires_action', 'succeeded') OR stripe_refund_id IS NOT NULL),
    CHECK (failure_balance_transaction_id IS NULL OR state IN ('failed', 'canceled'))
);
CREATE UNIQUE INDEX refunds_at_stripe ON refunds (stripe_refund_id) WHERE stripe_refund_id IS NOT NULL;
CREATE INDEX refunds_of_payment ON refunds (tenant_id, payment_id);
CREATE INDEX refunds_moving ON refunds (state_since)
    WHERE state IN ('requested', 'sending', 'pending', 'requires_action');
CREATE INDEX refunds_failed ON refunds (state_since) WHERE state IN ('failed', 'refused');
CREATE INDEX refunds_unbooked ON refunds (state_since) WHERE state = 'succeeded' AND balance_transaction_id IS NULL;

CREATE TABLE refund_history (
    tenant_id  uuid NOT NULL,
    refund_id  uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, refund_id, seq),
    FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds,
    CHECK ((seq = 1) = (from_state IS NULL))
);

-- A ticket is given back once; a refund that came to nothing lets it go again.
CREATE TABLE refund_tickets (
    tenant_id  uuid NOT NULL,
    refund_id  uuid NOT NULL,
    payment_id uuid NOT NULL,
    ticket_id  uuid NOT NULL,
    live       boolean NOT NULL DEFAULT true,
    PRIMARY KEY (tenant_id, refund_id, ticket_id),
    FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds
);
CREATE UNIQUE INDEX refund_tickets_once ON refund_tickets (tenant_id, payment_id, ticket_id) WHERE live;

CREATE FUNCTION guard_refund() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Only what was made outside of the fleet begins with what Stripe says of it.
        IF NEW.history_seq <> 1 OR (NEW.state <> 'requested' AND NEW.source <> 'outside') THEN
            RAISE EXCEPTION 'a refund starts as requested, not as %', NEW.state USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.refund_id, NEW.payment_id, NEW.amount_minor, NEW.currency, NEW.source)
       IS DISTINCT FROM (OLD.tenant_id, OLD.refund_id, OLD.payment_id, OLD.amount_minor, OLD.currency, OLD.source) THEN
        RAISE EXCEPTION 'refund %: what was asked for cannot change', OLD.refund_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.stripe_refund_id IS NOT NULL AND NEW.stripe_refund_id IS DISTINCT FROM OLD.stripe_refund_id THEN
        RAISE EXCEPTION 'refund % is already % at Stripe', OLD.refund_id, OLD.stripe_refund_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'refund' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'refund %: % -> % is not a legal move', OLD.refund_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

-- Owned by the schema's owner, so that nobody but these triggers can change what a charge has reserved.
CREATE FUNCTION reserve_refund() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    dead CONSTANT text[] := ARRAY['failed', 'canceled', 'refused'];
    reserved bigint := 0;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> ALL (dead) THEN
        reserved := NEW.amount_minor;
    ELSIF TG_OP = 'UPDATE' AND OLD.state <> ALL (dead) AND NEW.state = ANY (dead) THEN
        reserved := -NEW.amount_minor;
        UPDATE refund_tickets SET live = false WHERE (tenant_id, refund_id) = (NEW.tenant_id, NEW.refund_id);
    END IF;
    IF reserved <> 0 THEN
        UPDATE charges SET refunded_minor = refunded_minor + reserved
        WHERE (tenant_id, payment_id, currency) = (NEW.tenant_id, NEW.payment_id, NEW.currency);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'payment % has no charge in % to give back', NEW.payment_id, NEW.currency
                USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION write_refund_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO refund_history (tenant_id, refund_id, seq, from_state, to_state, reason, by)
    VALUES (
        NEW.tenant_id, NEW.refund_id, NEW.history_seq,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER a_refund_moves_legally BEFORE INSERT OR UPDATE ON refunds
    FOR EACH ROW EXECUTE FUNCTION guard_refund();
CREATE TRIGGER a_refund_reserves_its_amount AFTER INSERT OR UPDATE OF state ON refunds
    FOR EACH ROW EXECUTE FUNCTION reserve_refund();
CREATE TRIGGER a_refund_start_is_history AFTER INSERT ON refunds
    FOR EACH ROW EXECUTE FUNCTION write_refund_history();
CREATE TRIGGER a_refund_move_is_history AFTER UPDATE ON refunds
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_refund_history();
CREATE TRIGGER refund_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- The ledger learns what can come back: accounts and kinds of journals (db/ledger.py tells what each books).

DO $$
DECLARE
    old text;
BEGIN
    FOR old IN
        SELECT conname FROM pg_constraint
        WHERE contype = 'c' AND conrelid = 'ledger_accounts'::regclass
    LOOP
        EXECUTE format('ALTER TABLE ledger_accounts DROP CONSTRAINT %I', old);
    END LOOP;
    FOR old IN
        SELECT conname FROM pg_constraint
        WHERE contype = 'c' AND conrelid = 'ledger_journals'::regclass
    LOOP
        EXECUTE format('ALTER TABLE ledger_journals DROP CONSTRAINT %I', old);
    END LOOP;
END
$$;
ALTER TABLE ledger_accounts
    ADD CONSTRAINT ledger_accounts_code_check CHECK (code IN (
        'stripe_balance', 'venue_payable', 'platform_fees', 'stripe_fees', 'currency_exchange',
        'refunds_payable', 'disputed_funds', 'dispute_fees', 'bank')),
    ADD CONSTRAINT ledger_accounts_venue_check
        CHECK ((code IN ('venue_payable', 'disputed_funds')) = (venue_id IS NOT NULL));
ALTER TABLE ledger_journals ADD CONSTRAINT ledger_journals_kind_check CHECK (kind IN (
    'charge', 'stripe_fee', 'conversion', 'reversal', 'refund', 'refund_failure',
    'dispute', 'dispute_reversal', 'dispute_lost', 'dispute_won', 'payout', 'payout_failure'));

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['refunds', 'refund_history', 'refund_tickets'] LOOP
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
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq, stripe_refund_id, balance_transaction_id,
    obligation_minor, platform_fee_minor, failure_balance_transaction_id) ON refunds TO fleet_tenant;
