-- Payouts: what left Stripe's balance for the bank account, what each contained, and whose it was.

CREATE TABLE payouts (
    payout_id                      text PRIMARY KEY,
    amount_minor                   bigint NOT NULL,
    currency                       currency NOT NULL,
    automatic                      boolean NOT NULL,                -- only then does Stripe tell what it contained
    status                         text NOT NULL,                   -- Stripe's word
    failure_code                   text,
    balance_transaction_id         text,
    failure_balance_transaction_id text,
    contents_ready                 boolean NOT NULL,                -- Stripe has finished its list of the contents
    created_at                     timestamptz NOT NULL,
    arrives_at                     timestamptz NOT NULL,
    seen_at                        timestamptz NOT NULL DEFAULT clock_timestamp(),
    listed_to                      text,                            -- the last line of the last page of its contents
    listed_at                      timestamptz,                     -- all its lines are here and marked
    booked_at                      timestamptz,                     -- each tenant's part has its journal
    reversed_at                    timestamptz,                     -- it came back, and each journal has its mirror
    CHECK (booked_at IS NULL OR listed_at IS NOT NULL),
    CHECK (reversed_at IS NULL OR booked_at IS NOT NULL)
);
CREATE UNIQUE INDEX payouts_of_balance_transaction ON payouts (balance_transaction_id)
    WHERE balance_transaction_id IS NOT NULL;
CREATE UNIQUE INDEX payouts_of_failure_balance_transaction ON payouts (failure_balance_transaction_id)
    WHERE failure_balance_transaction_id IS NOT NULL;
CREATE INDEX payouts_by_time ON payouts (created_at);
CREATE INDEX payouts_unfinished ON payouts (created_at)
    WHERE booked_at IS NULL OR (reversed_at IS NULL AND status IN ('failed', 'canceled'));

-- What left and what was of which kind never changes; a payout that came back does not leave again.
CREATE FUNCTION guard_payout() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.payout_id, NEW.amount_minor, NEW.currency, NEW.automatic)
       IS DISTINCT FROM (OLD.payout_id, OLD.amount_minor, OLD.currency, OLD.automatic) THEN
        RAISE EXCEPTION 'payout %: what left cannot change', OLD.payout_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.status IN ('failed', 'canceled') AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'payout % is %, and stays so', OLD.payout_id, OLD.status USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_payout_stays_what_it_was BEFORE UPDATE ON payouts FOR EACH ROW EXECUTE FUNCTION guard_payout();
CREATE TRIGGER payouts_are_kept BEFORE DELETE OR TRUNCATE ON payouts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The contents of one payout are walked in pages.
DROP INDEX bank_lines_of_payout;
CREATE INDEX bank_lines_of_payout ON bank_lines (payout_id, balance_transaction_id) WHERE payout_id IS NOT NULL;

CREATE INDEX ledger_journals_of_payouts ON ledger_journals (source_id) WHERE kind IN ('payout', 'payout_failure');

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
    WHERE p.failure_balance_transaction_id IS NOT NULL;

GRANT SELECT ON payouts TO fleet_system, fleet_ops;
GRANT INSERT ON payouts TO fleet_system;
GRANT UPDATE (status, failure_code, balance_transaction_id, failure_balance_transaction_id, contents_ready, arrives_at,
              seen_at, listed_to, listed_at, booked_at, reversed_at)
    ON payouts TO fleet_system;
