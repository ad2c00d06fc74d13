-- Everyone's share: who is to get something of a sale, by which rule, how much, and how it reaches them.
--
-- What a charge brought, less the platform's fee, is cut into shares when the payment succeeds, and the cut is frozen as
-- rows. A share is owed `amount - returned - borne`; what reached its recipient is the sum of its transfers, less what
-- was taken back. Whoever works on a share only closes the gap between the two (workers/share.py), so a refund, a lost
-- dispute or one that was won after all needs no plan of its own.

-- ---------------------------------------------------------------------------------------------------------------
-- Who gets something

CREATE TABLE recipients (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    recipient_id  uuid NOT NULL DEFAULT uuidv7(),
    kind          text NOT NULL CHECK (kind IN ('venue', 'seller', 'artist', 'promoter', 'other')),
    venue_id      uuid,                                            -- the venue that it is
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    account_id    text CHECK (account_id ~ '^acct_[A-Za-z0-9]+$'), -- NULL: nobody can pay it yet
    settlement    text NOT NULL DEFAULT 'immediate' CHECK (settlement IN ('immediate', 'weekly')),
    minimum_minor bigint NOT NULL DEFAULT 0 CHECK (minimum_minor >= 0),  -- a weekly statement below it waits
    currency      currency NOT NULL,                               -- of minimum_minor
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, recipient_id),
    UNIQUE (tenant_id, venue_id),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    CHECK ((kind = 'venue') = (venue_id IS NOT NULL))
);
CREATE INDEX recipients_of_account ON recipients (account_id) WHERE account_id IS NOT NULL;

INSERT INTO recipients (tenant_id, recipient_id, kind, venue_id, name, currency)
SELECT tenant_id, venue_id, 'venue', venue_id, name, currency FROM venues;

-- A venue is a recipient from the start, under its own id, whoever registers it.
CREATE FUNCTION venue_is_recipient() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recipients (tenant_id, recipient_id, kind, venue_id, name, currency)
    VALUES (NEW.tenant_id, NEW.venue_id, 'venue', NEW.venue_id, NEW.name, NEW.currency);
    RETURN NULL;
END
$$;
CREATE TRIGGER a_venue_is_a_recipient AFTER INSERT ON venues FOR EACH ROW EXECUTE FUNCTION venue_is_recipient();

-- A connected account as Stripe last described it. It belongs to the platform; a tenant sees those its recipients name.
CREATE TABLE connected_accounts (
    account_id      text PRIMARY KEY CHECK (account_id ~ '^acct_[A-Za-z0-9]+$'),
    transfers       text NOT NULL DEFAULT 'unknown' CHECK (transfers IN ('unknown', 'active', 'pending', 'inactive')),
    payouts_enabled boolean NOT NULL DEFAULT false,
    disabled_reason text,
    seen_at         timestamptz
);

ALTER TABLE venues
    ADD COLUMN escrow_days integer CHECK (escrow_days BETWEEN 0 AND 365),   -- NULL: shares are not held
    ADD COLUMN settlement_mode text NOT NULL DEFAULT 'separate' CHECK (settlement_mode IN ('separate', 'destination')),
    -- A destination charge gives the fee back with the transfer, or the parts would not add up.
    ADD CONSTRAINT venues_destination_returns_fees CHECK (settlement_mode = 'separate' OR refund_fee_policy = 'returned');

ALTER TABLE fee_plans
    ADD COLUMN minimum_minor bigint NOT NULL DEFAULT 0 CHECK (minimum_minor >= 0),
    ADD COLUMN maximum_minor bigint CHECK (maximum_minor >= minimum_minor);

-- ---------------------------------------------------------------------------------------------------------------
-- By which rules

CREATE TABLE royalty_settings (
    tenant_id    uuid NOT NULL,
    setting_id   uuid NOT NULL DEFAULT uuidv7(),
    venue_id     uuid NOT NULL,
    event_id     uuid,                                             -- NULL: every event that has no settings of its own
    sale         text NOT NULL CHECK (sale IN ('primary', 'resale')),
    recipient_id uuid NOT NULL,
    basis_points integer NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
    valid_from   timestamptz NOT NULL DEFAULT '-infinity',
    valid_until  timestamptz NOT NULL DEFAULT 'infinity',          -- the first moment at which it no longer holds
    PRIMARY KEY (tenant_id, setting_id),
    UNIQUE NULLS NOT DISTINCT (tenant_id, venue_id, event_id, sale, recipient_id, valid_from),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    FOREIGN KEY (tenant_id, recipient_id) REFERENCES recipients,
    CHECK (valid_from < valid_until)
);

CREATE TABLE resale_rules (
    tenant_id            uuid NOT NULL,
    venue_id             uuid NOT NULL,
    event_id             uuid,
    floor_basis_points   integer NOT NULL DEFAULT 0 CHECK (floor_basis_points >= 0),       -- of the face value
    ceiling_basis_points integer CHECK (ceiling_basis_points >= floor_basis_points),        -- NULL: no ceiling
    UNIQUE NULLS NOT DISTINCT (tenant_id, venue_id, event_id),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues
);

-- When an event is over: what escrow waits for. The latest word of the order service counts.
CREATE TABLE events (
    tenant_id  uuid NOT NULL,
    event_id   uuid NOT NULL,
    venue_id   uuid NOT NULL,
    ends_at    timestamptz NOT NULL,
    told_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, event_id),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues
);

ALTER TABLE payments
    ADD COLUMN sale text NOT NULL DEFAULT 'primary' CHECK (sale IN ('primary', 'resale')),
    ADD COLUMN seller_id uuid,
    ADD FOREIGN KEY (tenant_id, seller_id) REFERENCES recipients (tenant_id, recipient_id),
    ADD CONSTRAINT payments_resale_has_seller CHECK ((sale = 'resale') = (seller_id IS NOT NULL));

-- ---------------------------------------------------------------------------------------------------------------
-- The cut of one payment

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('share', 'held', 'released'),
    ('share', 'held', 'settled'),                                  -- everything was given back while it was held
    ('share', 'released', 'settled'),
    ('share', 'settled', 'released'),                              -- more was taken back, or a loss was won after all
    ('share', 'settled', 'held'),
    ('transfer', 'requested', 'sending'),
    ('transfer', 'requested', 'paid'),                             -- the whole of it paid a receivable
    ('transfer', 'requested', 'canceled'),
    ('transfer', 'sending', 'paid'),
    ('transfer', 'sending', 'refused'),
    ('transfer_reversal', 'requested', 'sending'),
    ('transfer_reversal', 'requested', 'short'),                   -- nothing of the transfer is left to take back
    ('transfer_reversal', 'sending', 'reversed'),
    ('transfer_reversal', 'sending', 'short');

CREATE TABLE distributions (
    tenant_id   uuid NOT NULL,
    payment_id  uuid NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('separate', 'destination')),
    sale        text NOT NULL CHECK (sale IN ('primary', 'resale')),
    event_id    uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),        -- what the shares add up to
    currency    currency NOT NULL,
    escrow_days integer,                                           -- the venue's policy when the sale succeeded
    frozen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz,                                       -- NULL: in escrow
    released_by text,
    release_reason text,
    PRIMARY KEY (tenant_id, payment_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK (num_nulls(released_at, released_by, release_reason) IN (0, 3))
);
CREATE INDEX distributions_held ON distributions (frozen_at) WHERE released_at IS NULL;
CREATE INDEX distributions_held_of_event ON distributions (tenant_id, event_id) WHERE released_at IS NULL;

CREATE TABLE shares (
    tenant_id      uuid NOT NULL,
    share_id       uuid NOT NULL DEFAULT uuidv7(),
    payment_id     uuid NOT NULL,
    recipient_id   uuid NOT NULL,
    basis          text NOT NULL CHECK (basis IN ('seller', 'venue', 'royalty')),
    basis_points   integer,                                        -- of a royalty; the others get the rest
    amount_minor   bigint NOT NULL CHECK (amount_minor >= 0),
    returned_minor bigint NOT NULL DEFAULT 0 CHECK (returned_minor BETWEEN 0 AND amount_minor),
    borne_minor    bigint NOT NULL DEFAULT 0 CHECK (borne_minor >= 0),  -- fees that were kept at refunds, on top
    currency       currency NOT NULL,
    state          text NOT NULL CHECK (state IN ('held', 'released', 'settled')),
    state_reason   text,
    state_by       text NOT NULL,
    state_since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq    integer NOT NULL DEFAULT 1,
    waits_for      text,                                           -- why a released share is not on its way
    looked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, share_id),
    UNIQUE (tenant_id, payment_id, recipient_id, basis),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES distributions,
    FOREIGN KEY (tenant_id, recipient_id) REFERENCES recipients,
    CHECK ((basis = 'royalty') = (basis_points IS NOT NULL)),
    CHECK (basis <> 'royalty' OR borne_minor = 0)
);
CREATE INDEX shares_unsettled ON shares (looked_at) WHERE state = 'released';
CREATE INDEX shares_unsettled_of_recipient ON shares (tenant_id, recipient_id) WHERE state <> 'settled';

CREATE TABLE share_history (
    tenant_id  uuid NOT NULL,
    share_id   uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, share_id, seq),
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares,
    CHECK ((seq = 1) = (from_state IS NULL))
);

-- What each refund and each lost dispute took back of each share; `undone` when the dispute was won after all.
CREATE TABLE share_returns (
    tenant_id      uuid NOT NULL,
    share_id       uuid NOT NULL,
    source_id      text NOT NULL,                                  -- Stripe's refund or dispute
    returned_minor bigint NOT NULL CHECK (returned_minor >= 0),
    borne_minor    bigint NOT NULL CHECK (borne_minor >= 0),
    currency       currency NOT NULL,
    undone         boolean NOT NULL DEFAULT false,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, share_id, source_id),
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares
);

-- ---------------------------------------------------------------------------------------------------------------
-- How it reaches them, and how it comes back

CREATE TABLE transfers (
    tenant_id              uuid NOT NULL,
    transfer_id            uuid NOT NULL DEFAULT uuidv7(),
    recipient_id           uuid NOT NULL,
    account_id             text NOT NULL,
    kind                   text NOT NULL CHECK (kind IN ('share', 'statement', 'destination')),
    payment_id             uuid,                                   -- of a share's and of a destination charge's
    charge_id              text,                                   -- source_transaction
    transfer_group         text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor >= 0),   -- what is sent
    netted_minor           bigint NOT NULL DEFAULT 0 CHECK (netted_minor >= 0),  -- paid a receivable instead
    currency               currency NOT NULL,
    reversed_minor         bigint NOT NULL DEFAULT 0,
    stripe_transfer_id     text,
    balance_transaction_id text,
    state                  text NOT NULL DEFAULT 'requested' CHECK (state IN (
                               'requested', 'sending', 'paid', 'refused', 'canceled')),
    state_reason           text,
    state_by               text NOT NULL,
    state_since            timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, transfer_id),
    FOREIGN KEY (tenant_id, recipient_id) REFERENCES recipients,
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CONSTRAINT transfers_reversed_within_sent CHECK (reversed_minor BETWEEN 0 AND amount_minor),
    CHECK (amount_minor + netted_minor > 0),
    CHECK (state <> 'paid' OR amount_minor = 0 OR stripe_transfer_id IS NOT NULL)
);
CREATE UNIQUE INDEX transfers_at_stripe ON transfers (stripe_transfer_id) WHERE stripe_transfer_id IS NOT NULL;
CREATE INDEX transfers_of_balance_transaction ON transfers (balance_transaction_id)
    WHERE balance_transaction_id IS NOT NULL;
CREATE INDEX transfers_moving ON transfers (state_since) WHERE state IN ('requested', 'sending');
CREATE INDEX transfers_of_recipient ON transfers (tenant_id, recipient_id, created_at);

-- Which shares a transfer pays, and how much of each.
CREATE TABLE transfer_lines (
    tenant_id    uuid NOT NULL,
    transfer_id  uuid NOT NULL,
    share_id     uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency     currency NOT NULL,
    PRIMARY KEY (tenant_id, transfer_id, share_id),
    FOREIGN KEY (tenant_id, transfer_id) REFERENCES transfers,
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares
);
CREATE INDEX transfer_lines_of_share ON transfer_lines (tenant_id, share_id);

CREATE TABLE transfer_reversals (
    tenant_id              uuid NOT NULL,
    reversal_id            uuid NOT NULL DEFAULT uuidv7(),
    transfer_id            uuid NOT NULL,
    share_id               uuid NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor > 0),    -- what is to come back
    currency               currency NOT NULL,
    stripe_reversal_id     text,
    balance_transaction_id text,
    state                  text NOT NULL DEFAULT 'requested' CHECK (state IN (
                               'requested', 'sending', 'reversed', 'short')),
    state_reason           text,
    state_by               text NOT NULL,
    state_since            timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, reversal_id),
    FOREIGN KEY (tenant_id, transfer_id) REFERENCES transfers,
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares,
    CHECK ((state = 'reversed') = (stripe_reversal_id IS NOT NULL))
);
CREATE UNIQUE INDEX transfer_reversals_at_stripe ON transfer_reversals (stripe_reversal_id)
    WHERE stripe_reversal_id IS NOT NULL;
CREATE INDEX transfer_reversals_of_balance_transaction ON transfer_reversals (balance_transaction_id)
    WHERE balance_transaction_id IS NOT NULL;
CREATE INDEX transfer_reversals_of_share ON transfer_reversals (tenant_id, share_id);
CREATE INDEX transfer_reversals_of_transfer ON transfer_reversals (tenant_id, transfer_id);
CREATE INDEX transfer_reversals_moving ON transfer_reversals (state_since) WHERE state IN ('requested', 'sending');
-- One movement of a share at a time: the next gap is measured when it has ended.
CREATE UNIQUE INDEX transfer_reversals_one_of_share ON transfer_reversals (tenant_id, share_id)
    WHERE state IN ('requested', 'sending');

-- What was to come back of a share and could not: owed to us, and kept from the recipient's next transfers.
CREATE TABLE share_receivables (
    tenant_id     uuid NOT NULL,
    receivable_id uuid NOT NULL DEFAULT uuidv7(),
    share_id      uuid NOT NULL,
    amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
    currency      currency NOT NULL,
    reason        text NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, receivable_id),
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares
);
CREATE INDEX share_receivables_of_share ON share_receivables (tenant_id, share_id);

-- One history for both: what moved, when and why.
CREATE TABLE transfer_history (
    tenant_id  uuid NOT NULL,
    subject    text NOT NULL CHECK (subject IN ('transfer', 'transfer_reversal')),
    subject_id uuid NOT NULL,
    entry_id   uuid NOT NULL DEFAULT uuidv7(),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, subject, subject_id, entry_id)
);

CREATE FUNCTION guard_share() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.tenant_id, NEW.share_id, NEW.payment_id, NEW.recipient_id, NEW.basis, NEW.amount_minor, NEW.currency)
       IS DISTINCT FROM
       (OLD.tenant_id, OLD.share_id, OLD.payment_id, OLD.recipient_id, OLD.basis, OLD.amount_minor, OLD.currency) THEN
        RAISE EXCEPTION 'share %: what was frozen cannot change', OLD.share_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'share' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'share %: % -> % is not a legal move', OLD.share_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION write_share_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO share_history (tenant_id, share_id, seq, from_state, to_state, reason, by)
    VALUES (
        NEW.tenant_id, NEW.share_id, NEW.history_seq,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by
    );
    RETURN NULL;
END
$$;

-- Transfers and reversals move by the same rule; TG_ARGV[0] is the subject of legal_moves.
CREATE FUNCTION guard_transfer_move() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'requested' AND coalesce(to_jsonb(NEW) ->> 'kind', '') <> 'destination' THEN
            RAISE EXCEPTION 'a % starts as requested, not as %', TG_ARGV[0], NEW.state
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.transfer_id, NEW.amount_minor, NEW.currency)
       IS DISTINCT FROM (OLD.tenant_id, OLD.transfer_id, OLD.amount_minor, OLD.currency) THEN
        RAISE EXCEPTION '% of %: what was asked for cannot change', TG_ARGV[0], OLD.transfer_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = TG_ARGV[0] AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% of %: % -> % is not a legal move', TG_ARGV[0], OLD.transfer_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION write_transfer_history() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    moved uuid := (to_jsonb(NEW) ->> CASE TG_ARGV[0] WHEN 'transfer' THEN 'transfer_id' ELSE 'reversal_id' END)::uuid;
BEGIN
    INSERT INTO transfer_history (tenant_id, subject, subject_id, from_state, to_state, reason, by)
    VALUES (
        NEW.tenant_id, TG_ARGV[0], moved,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by
    );
    RETURN NULL;
END
$$;

-- What was taken back is counted on its transfer, whose CHECK refuses more than was sent, however many ask at once.
CREATE FUNCTION reserve_reversal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    reserved bigint := 0;
BEGIN
    IF TG_OP = 'INSERT' THEN
        reserved := NEW.amount_minor;
    ELSIF OLD.state <> 'short' AND NEW.state = 'short' THEN
        reserved := -NEW.amount_minor;
    END IF;
    IF reserved <> 0 THEN
        UPDATE transfers SET reversed_minor = reversed_minor + reserved
        WHERE (tenant_id, transfer_id, currency) = (NEW.tenant_id, NEW.transfer_id, NEW.currency);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER a_share_moves_legally BEFORE UPDATE ON shares FOR EACH ROW EXECUTE FUNCTION guard_share();
CREATE TRIGGER a_share_start_is_history AFTER INSERT ON shares FOR EACH ROW EXECUTE FUNCTION write_share_history();
CREATE TRIGGER a_share_move_is_history AFTER UPDATE ON shares
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_share_history();
CREATE TRIGGER a_transfer_moves_legally BEFORE INSERT OR UPDATE ON transfers
    FOR EACH ROW EXECUTE FUNCTION guard_transfer_move('transfer');
CREATE TRIGGER a_transfer_start_is_history AFTER INSERT ON transfers
    FOR EACH ROW EXECUTE FUNCTION write_transfer_history('transfer');
CREATE TRIGGER a_transfer_move_is_history AFTER UPDATE ON transfers
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_transfer_history('transfer');
CREATE TRIGGER a_transfer_reversal_moves_legally BEFORE INSERT OR UPDATE ON transfer_reversals
    FOR EACH ROW EXECUTE FUNCTION guard_transfer_move('transfer_reversal');
CREATE TRIGGER a_transfer_reversal_reserves_its_amount AFTER INSERT OR UPDATE OF state ON transfer_reversals
    FOR EACH ROW EXECUTE FUNCTION reserve_reversal();
CREATE TRIGGER a_transfer_reversal_start_is_history AFTER INSERT ON transfer_reversals
    FOR EACH ROW EXECUTE FUNCTION write_transfer_history('transfer_reversal');
CREATE TRIGGER a_transfer_reversal_move_is_history AFTER UPDATE ON transfer_reversals
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_transfer_history('transfer_reversal');
CREATE TRIGGER share_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON share_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfer_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER share_receivables_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON share_receivables
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfer_lines_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The shares of a payment add up to what was to be distributed, at commit (M12).
CREATE FUNCTION check_shares_add_up() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    whole bigint;
    parts bigint;
BEGIN
    SELECT amount_minor INTO whole FROM distributions
    WHERE (tenant_id, payment_id, currency) = (NEW.tenant_id, NEW.payment_id, NEW.currency);
    SELECT sum(amount_minor) INTO parts FROM shares WHERE (tenant_id, payment_id) = (NEW.tenant_id, NEW.payment_id);
    IF whole IS DISTINCT FROM parts THEN
        RAISE EXCEPTION 'the shares of payment % add up to %, not to %', NEW.payment_id, parts, whole
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER shares_add_up AFTER INSERT ON shares
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_shares_add_up();

-- ---------------------------------------------------------------------------------------------------------------
-- The ledger learns whose the parts are (db/ledger.py tells what each kind books).

ALTER TABLE ledger_accounts
    ADD COLUMN recipient_id uuid,
    ADD FOREIGN KEY (tenant_id, recipient_id) REFERENCES recipients,
    DROP CONSTRAINT ledger_accounts_code_check,
    ADD CONSTRAINT ledger_accounts_code_check CHECK (code IN (
        'stripe_balance', 'venue_payable', 'platform_fees', 'stripe_fees', 'currency_exchange',
        'refunds_payable', 'disputed_funds', 'dispute_fees', 'bank', 'recipient_payable', 'recipient_receivable')),
    ADD CONSTRAINT ledger_accounts_recipient_check
        CHECK ((code IN ('recipient_payable', 'recipient_receivable')) = (recipient_id IS NOT NULL));
DO $$
DECLARE
    old text;
BEGIN
    SELECT conname INTO STRICT old FROM pg_constraint
    WHERE conrelid = 'ledger_accounts'::regclass AND contype = 'u' AND pg_get_constraintdef(oid) LIKE '%NULLS NOT%';
    EXECUTE format('ALTER TABLE ledger_accounts DROP CONSTRAINT %I', old);
END
$$;
ALTER TABLE ledger_accounts
    ADD UNIQUE NULLS NOT DISTINCT (tenant_id, code, venue_id, recipient_id, currency);
ALTER TABLE ledger_journals
    DROP CONSTRAINT ledger_journals_kind_check,
    ADD CONSTRAINT ledger_journals_kind_check CHECK (kind IN (
        'charge', 'stripe_fee', 'conversion', 'reversal', 'refund', 'refund_failure',
        'dispute', 'dispute_reversal', 'dispute_lost', 'dispute_won', 'payout', 'payout_failure',
        'distribution', 'clawback', 'clawback_undone', 'transfer', 'netting', 'transfer_reversal', 'receivable',
        'application_fee', 'application_fee_refund'));

CREATE OR REPLACE VIEW book_movements WITH (security_invoker = true) AS
    SELECT tenant_id, payment_id, balance_transaction_id, 'charge' AS kind, charge_id AS source_id
    FROM charges WHERE balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT tenant_id, payment_id, balance_transaction_id, 'refund', stripe_refund_id
    FROM refunds WHERE balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT tenant_id, payment_id, failure_balance_transaction_id, 'refund_failure', stripe_refund_id
    FROM refunds WHERE failure_balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT tenant_id, payment_id, source_id, kind, source_id
    FROM ledger_journals WHERE kind IN ('dispute', 'dispute_reversal')
    UNION ALL
    SELECT j.tenant_id, j.payment_id, p.balance_transaction_id, j.kind, j.source_id
    FROM payouts p JOIN ledger_journals j ON j.source_id = p.payout_id AND j.kind = 'payout'
    WHERE p.balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT j.tenant_id, j.payment_id, p.failure_balance_transaction_id, j.kind, j.source_id
    FROM payouts p JOIN ledger_journals j ON j.source_id = p.payout_id AND j.kind = 'payout_failure'
    WHERE p.failure_balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT tenant_id, payment_id, balance_transaction_id, 'transfer', stripe_transfer_id
    FROM transfers WHERE balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT r.tenant_id, t.payment_id, r.balance_transaction_id, 'transfer_reversal', r.stripe_reversal_id
    FROM transfer_reversals r JOIN transfers t USING (tenant_id, transfer_id)
    WHERE r.balance_transaction_id IS NOT NULL;

ALTER TABLE reconciliation_cases
    DROP CONSTRAINT reconciliation_cases_type_check,
    ADD CONSTRAINT reconciliation_cases_type_check CHECK (type IN (
        'missing_in_book', 'missing_at_stripe', 'amount_differs', 'unknown_tenant', 'payout_unexplained',
        'event_unmatched', 'refund_failed', 'refund_stuck', 'dispute_evidence_due', 'authorization_expiring',
        'escrow_near_limit', 'share_stuck', 'receivable_over_limit', 'share_differs'));

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY[
        'recipients', 'royalty_settings', 'resale_rules', 'events', 'distributions', 'shares', 'share_history',
        'share_returns', 'share_receivables', 'transfers', 'transfer_lines', 'transfer_reversals', 'transfer_history'
    ] LOOP
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
GRANT INSERT ON recipients, events, distributions, shares, share_history, share_returns, share_receivables,
    transfers, transfer_lines, transfer_reversals, transfer_history TO fleet_tenant;
GRANT UPDATE (name, account_id) ON recipients TO fleet_tenant;
GRANT UPDATE (ends_at, told_at) ON events TO fleet_tenant;
GRANT UPDATE (released_at, released_by, release_reason) ON distributions TO fleet_tenant;
GRANT UPDATE (returned_minor, borne_minor, state, state_reason, state_by, state_since, history_seq, waits_for, looked_at)
    ON shares TO fleet_tenant;
GRANT UPDATE (undone) ON share_returns TO fleet_tenant;
GRANT UPDATE (stripe_transfer_id, balance_transaction_id, state, state_reason, state_by, state_since)
    ON transfers TO fleet_tenant;
GRANT UPDATE (stripe_reversal_id, balance_transaction_id, state, state_reason, state_by, state_since)
    ON transfer_reversals TO fleet_tenant;

-- Stripe's word about an account is the platform's to write; a tenant reads what its own recipients name.
ALTER TABLE connected_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY named_by_own_recipients ON connected_accounts FOR SELECT TO fleet_tenant
    USING (EXISTS (SELECT FROM recipients r WHERE r.account_id = connected_accounts.account_id));
CREATE POLICY platform_follows ON connected_accounts TO fleet_system USING (true) WITH CHECK (true);
CREATE POLICY ops_read ON connected_accounts FOR SELECT TO fleet_ops USING (true);
GRANT SELECT ON connected_accounts TO fleet_tenant, fleet_system, fleet_ops;
GRANT INSERT ON connected_accounts TO fleet_system;
GRANT UPDATE (transfers, payouts_enabled, disabled_reason, seen_at) ON connected_accounts TO fleet_system;
