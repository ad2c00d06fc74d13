-- The book of the payment fleet: who the tenants are, what was asked for, and how each payment moved.
--
-- Every tenant table carries tenant_id and row-level security. Money is bigint minor units beside a currency.
-- Moves of state are data (legal_moves); a trigger refuses any other and writes the history, so that Python cannot
-- forget either. Python's copy of the table is db/lifecycle.py, and a test compares the two.

CREATE DOMAIN currency AS text CHECK (VALUE ~ '^[a-z]{3}$');

CREATE FUNCTION current_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

-- ---------------------------------------------------------------------------------------------------------------
-- Tenants, venues, fees

CREATE TABLE tenants (
    tenant_id  uuid PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE fee_plans (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    fee_plan_id  uuid NOT NULL DEFAULT uuidv7(),
    name         text NOT NULL,
    basis_points integer NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
    fixed_minor  bigint NOT NULL CHECK (fixed_minor >= 0),
    currency     currency NOT NULL,
    PRIMARY KEY (tenant_id, fee_plan_id)
);

CREATE TABLE venues (
    tenant_id   uuid NOT NULL REFERENCES tenants,
    venue_id    uuid NOT NULL,
    name        text NOT NULL,
    currency    currency NOT NULL,
    fee_plan_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, venue_id),
    FOREIGN KEY (tenant_id, fee_plan_id) REFERENCES fee_plans
);

-- ---------------------------------------------------------------------------------------------------------------
-- Orders seen and their payments

CREATE TABLE orders (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    order_id     uuid NOT NULL,
    event_source text NOT NULL,
    event_id     text NOT NULL,
    fingerprint  bytea NOT NULL CHECK (length(fingerprint) = 32),  -- SHA-256 of the canonical data of the event
    order_data   jsonb NOT NULL,                                   -- tickets, event, device facts: for later rules
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, order_id),
    UNIQUE (tenant_id, event_source, event_id)
);

CREATE TABLE legal_moves (
    subject    text NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL,
    PRIMARY KEY (subject, from_state, to_state)
);

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('payment', 'requested', 'charging'),
    ('payment', 'charging', 'succeeded'),
    ('payment', 'charging', 'authorized'),
    ('payment', 'charging', 'requires_action'),
    ('payment', 'charging', 'processing'),
    ('payment', 'charging', 'failed'),
    ('payment', 'charging', 'canceled'),
    ('payment', 'requires_action', 'succeeded'),
    ('payment', 'requires_action', 'authorized'),
    ('payment', 'requires_action', 'processing'),
    ('payment', 'requires_action', 'failed'),
    ('payment', 'requires_action', 'canceled'),
    ('payment', 'processing', 'succeeded'),
    ('payment', 'processing', 'authorized'),
    ('payment', 'processing', 'requires_action'),
    ('payment', 'processing', 'failed'),
    ('payment', 'processing', 'canceled'),
    ('payment', 'authorized', 'succeeded'),
    ('payment', 'authorized', 'canceled'),
    -- The intent of a declined payment stays open at Stripe; the buyer may still pay it with another card.
    ('payment', 'failed', 'succeeded'),
    ('payment', 'failed', 'authorized'),
    ('payment', 'failed', 'requires_action'),
    ('payment', 'failed', 'processing'),
    ('payment', 'failed', 'canceled');

CREATE TABLE payments (
    tenant_id          uuid NOT NULL,
    payment_id         uuid NOT NULL DEFAULT uuidv7(),
    order_id           uuid NOT NULL,
    venue_id           uuid NOT NULL,
    buyer_id           text NOT NULL,
    amount_minor       bigint NOT NULL CHECK (amount_minor > 0),
    currency           currency NOT NULL,
    platform_fee_minor bigint CHECK (platform_fee_minor BETWEEN 0 AND amount_minor),
    capture            text NOT NULL CHECK (capture IN ('automatic', 'manual')),
    payment_method_id  text NOT NULL,
    customer_id        text,
    idempotency_key    text,
    payment_intent_id  text,
    state              text NOT NULL DEFAULT 'requested' CHECK (state IN (
                           'requested', 'charging', 'requires_action', 'processing', 'authorized',
                           'succeeded', 'failed', 'canceled')),
    state_reason       text,
    state_by           text NOT NULL,
    state_since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq        integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, payment_id),
    UNIQUE (tenant_id, order_id),                                  -- M1: one order, one payment
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders,
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    CHECK (state IN ('requested', 'charging', 'failed', 'canceled') OR payment_intent_id IS NOT NULL),
    CHECK (state = 'requested' OR platform_fee_minor IS NOT NULL)
);
CREATE UNIQUE INDEX payments_idempotency_key ON payments (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX payments_payment_intent ON payments (payment_intent_id) WHERE payment_intent_id IS NOT NULL;
-- What the sweep reads: payments that still have to move.
CREATE INDEX payments_moving ON payments (state_since)
    WHERE state IN ('requested', 'charging', 'requires_action', 'processing');

CREATE TABLE payment_history (
    tenant_id  uuid NOT NULL,
    payment_id uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, payment_id, seq),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK ((seq = 1) = (from_state IS NULL))
);

CREATE FUNCTION guard_payment_move() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.tenant_id, NEW.payment_id, NEW.order_id, NEW.amount_minor, NEW.currency)
       IS DISTINCT FROM (OLD.tenant_id, OLD.payment_id, OLD.order_id, OLD.amount_minor, OLD.currency) THEN
        RAISE EXCEPTION 'payment %: what was ordered cannot change', OLD.payment_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.payment_intent_id IS NOT NULL AND NEW.payment_intent_id IS DISTINCT FROM OLD.payment_intent_id THEN
        RAISE EXCEPTION 'payment % already has intent %', OLD.payment_id, OLD.payment_intent_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'payment' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payment %: % -> % is not a legal move', OLD.payment_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION guard_payment_start() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'requested' OR NEW.history_seq <> 1 THEN
        RAISE EXCEPTION 'a payment starts as requested, not as %', NEW.state USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION write_payment_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_history (tenant_id, payment_id, seq, from_state, to_state, reason, by)
    VALUES (
        NEW.tenant_id, NEW.payment_id, NEW.history_seq,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER a_payment_starts_requested BEFORE INSERT ON payments
    FOR EACH ROW EXECUTE FUNCTION guard_payment_start();
CREATE TRIGGER a_payment_moves_legally BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION guard_payment_move();
CREATE TRIGGER a_payment_start_is_history AFTER INSERT ON payments
    FOR EACH ROW EXECUTE FUNCTION write_payment_history();
CREATE TRIGGER a_payment_move_is_history AFTER UPDATE ON payments
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_payment_history();
CREATE TRIGGER payment_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Outside calls: one row per effect we want from Stripe. `request` is the body, built once and resent byte for byte.
-- outcome: unknown (sent or about to be, no answer written down) | answered | absent (proved never to have happened).

CREATE TABLE calls (
    tenant_id         uuid NOT NULL,
    call_id           uuid NOT NULL DEFAULT uuidv7(),
    operation         text NOT NULL,
    subject_id        uuid NOT NULL,
    generation        integer NOT NULL CHECK (generation >= 1),
    idempotency_key   text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request           jsonb NOT NULL,
    first_sent_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_sent_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    sends             integer NOT NULL DEFAULT 1 CHECK (sends >= 1),
    outcome           text NOT NULL DEFAULT 'unknown' CHECK (outcome IN ('unknown', 'answered', 'absent')),
    needs_lookup      boolean NOT NULL DEFAULT false,  -- the key replays a failure: ask before sending anything again
    answer            text,
    stripe_object_id  text,
    stripe_request_id text,
    settled_at        timestamptz,
    PRIMARY KEY (tenant_id, call_id),
    UNIQUE (tenant_id, operation, subject_id, generation),
    UNIQUE (idempotency_key),
    CHECK ((outcome = 'unknown') = (settled_at IS NULL))
);
-- At most one open or answered generation: the next needs the proof that the one before is absent (M13).
CREATE UNIQUE INDEX calls_one_live_generation ON calls (tenant_id, operation, subject_id) WHERE outcome <> 'absent';
CREATE INDEX calls_unknown ON calls (first_sent_at) WHERE outcome = 'unknown';

CREATE TABLE payment_attempts (
    tenant_id         uuid NOT NULL,
    payment_id        uuid NOT NULL,
    attempt           integer NOT NULL CHECK (attempt >= 1),
    payment_method_id text NOT NULL,
    call_id           uuid,
    outcome           text NOT NULL,
    decline_code      text,
    at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, payment_id, attempt),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, call_id) REFERENCES calls
);
CREATE TRIGGER payment_attempts_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE charges (
    tenant_id              uuid NOT NULL,
    charge_id              text NOT NULL,
    payment_id             uuid NOT NULL,
    payment_intent_id      text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor > 0),
    currency               currency NOT NULL,
    balance_transaction_id text,
    stripe_fee_minor       bigint,                                 -- in balance_currency
    balance_currency       currency,
    recorded_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, charge_id),
    UNIQUE (tenant_id, payment_id),                                -- M1 once more: one payment, one successful charge
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK ((balance_transaction_id IS NULL) = (stripe_fee_minor IS NULL)),
    CHECK ((balance_transaction_id IS NULL) = (balance_currency IS NULL))
);
CREATE INDEX charges_without_balance_transaction ON charges (recorded_at) WHERE balance_transaction_id IS NULL;

-- ---------------------------------------------------------------------------------------------------------------
-- The ledger: double entry, append-only, every journal sums to zero per currency at commit (M4).

CREATE TABLE ledger_accounts (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    account_id uuid NOT NULL DEFAULT uuidv7(),
    code       text NOT NULL CHECK (code IN (
                   'stripe_balance', 'venue_payable', 'platform_fees', 'stripe_fees', 'currency_exchange')),
    venue_id   uuid,
    currency   currency NOT NULL,
    PRIMARY KEY (tenant_id, account_id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, code, venue_id, currency),
    UNIQUE (tenant_id, account_id, currency),                      -- so that an entry can name its account's currency
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    CHECK ((code = 'venue_payable') = (venue_id IS NOT NULL))
);

CREATE TABLE ledger_journals (
    tenant_id  uuid NOT NULL REFERENCES tenants,
    journal_id uuid NOT NULL DEFAULT uuidv7(),
    kind       text NOT NULL CHECK (kind IN ('charge', 'stripe_fee', 'conversion', 'reversal')),
    source_id  text NOT NULL,                                      -- the Stripe object, or the journal, this one books
    payment_id uuid,
    posted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, journal_id),
    UNIQUE (tenant_id, kind, source_id),                           -- one fact, one journal
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments
);
CREATE INDEX ledger_journals_of_payment ON ledger_journals (tenant_id, payment_id);

CREATE TABLE ledger_entries (
    tenant_id    uuid NOT NULL,
    journal_id   uuid NOT NULL,
    line         integer NOT NULL CHECK (line >= 1),
    account_id   uuid NOT NULL,
    amount_minor bigint NOT NULL,                                  -- debit positive, credit negative
    currency     currency NOT NULL,
    PRIMARY KEY (tenant_id, journal_id, line),
    FOREIGN KEY (tenant_id, journal_id) REFERENCES ledger_journals,
    FOREIGN KEY (tenant_id, account_id, currency) REFERENCES ledger_accounts (tenant_id, account_id, currency)
);
CREATE INDEX ledger_entries_of_account ON ledger_entries (tenant_id, account_id);

CREATE FUNCTION check_journal_balances() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    lines integer;
    off   text;
BEGIN
    SELECT count(*) INTO lines
    FROM ledger_entries WHERE tenant_id = NEW.tenant_id AND journal_id = NEW.journal_id;
    IF lines < 2 THEN
        RAISE EXCEPTION 'journal % has % entries; double entry needs two', NEW.journal_id, lines
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT currency INTO off
    FROM ledger_entries WHERE tenant_id = NEW.tenant_id AND journal_id = NEW.journal_id
    GROUP BY currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF off IS NOT NULL THEN
        RAISE EXCEPTION 'journal % does not sum to zero in %', NEW.journal_id, off USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

-- On both tables: a journal without entries, and an entry added to an old journal, are each caught at commit.
CREATE CONSTRAINT TRIGGER journals_sum_to_zero AFTER INSERT ON ledger_journals
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal_balances();
CREATE CONSTRAINT TRIGGER entries_sum_to_zero AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal_balances();
CREATE TRIGGER ledger_journals_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
