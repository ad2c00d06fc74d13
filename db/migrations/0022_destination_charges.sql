-- Destination charges: the whole charge reaches the venue's account in the same step, and the platform's part (its fee,
-- and the royalties of others) comes back as an application fee. A refund takes both back in proportion, by itself.

-- Money that reaches the venue with the charge cannot be held until the event is over.
ALTER TABLE venues
    ADD CONSTRAINT venues_destination_excludes_escrow CHECK (settlement_mode = 'separate' OR escrow_days IS NULL);

-- 'destination': Stripe took it back together with a refund, and nobody here asked for it (guard_transfer_move lets what is
-- called 'destination' begin at its end).
ALTER TABLE transfer_reversals
    ADD COLUMN kind text NOT NULL DEFAULT 'asked' CHECK (kind IN ('asked', 'destination')),
    ADD CHECK (kind = 'asked' OR state = 'reversed');

CREATE TABLE application_fees (
    tenant_id              uuid NOT NULL,
    fee_id                 text NOT NULL CHECK (fee_id ~ '^fee_[A-Za-z0-9]+$'),
    payment_id             uuid NOT NULL,
    share_id               uuid NOT NULL,                          -- the venue's, which gave it
    amount_minor           bigint NOT NULL CHECK (amount_minor > 0),
    refunded_minor         bigint NOT NULL DEFAULT 0,
    currency               currency NOT NULL,
    balance_transaction_id text NOT NULL,
    booked_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, fee_id),
    UNIQUE (tenant_id, payment_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, share_id) REFERENCES shares,
    CONSTRAINT application_fees_refunded_within_taken CHECK (refunded_minor BETWEEN 0 AND amount_minor)
);
CREATE UNIQUE INDEX application_fees_at_stripe ON application_fees (fee_id);
CREATE INDEX application_fees_of_share ON application_fees (tenant_id, share_id);
CREATE INDEX application_fees_of_balance_transaction ON application_fees (balance_transaction_id);

CREATE TABLE application_fee_refunds (
    tenant_id              uuid NOT NULL,
    fee_refund_id          text NOT NULL CHECK (fee_refund_id ~ '^fr_[A-Za-z0-9]+$'),
    fee_id                 text NOT NULL,
    amount_minor           bigint NOT NULL CHECK (amount_minor > 0),
    currency               currency NOT NULL,
    balance_transaction_id text NOT NULL,
    booked_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, fee_refund_id),
    FOREIGN KEY (tenant_id, fee_id) REFERENCES application_fees
);
CREATE UNIQUE INDEX application_fee_refunds_at_stripe ON application_fee_refunds (fee_refund_id);
CREATE INDEX application_fee_refunds_of_fee ON application_fee_refunds (tenant_id, fee_id);
CREATE INDEX application_fee_refunds_of_balance_transaction ON application_fee_refunds (balance_transaction_id);

-- What is given back is counted on its fee, whose CHECK refuses more than was taken.
CREATE FUNCTION count_fee_refund() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE application_fees SET refunded_minor = refunded_minor + NEW.amount_minor
    WHERE (tenant_id, fee_id, currency) = (NEW.tenant_id, NEW.fee_id, NEW.currency);
    RETURN NULL;
END
$$;
CREATE TRIGGER a_fee_refund_is_counted AFTER INSERT ON application_fee_refunds
    FOR EACH ROW EXECUTE FUNCTION count_fee_refund();
CREATE TRIGGER application_fee_refunds_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON application_fee_refunds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER application_fees_are_kept BEFORE DELETE OR TRUNCATE ON application_fees
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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
    WHERE r.balance_transaction_id IS NOT NULL
    UNION ALL
    SELECT tenant_id, payment_id, balance_transaction_id, 'application_fee', fee_id FROM application_fees
    UNION ALL
    SELECT r.tenant_id, f.payment_id, r.balance_transaction_id, 'application_fee_refund', r.fee_refund_id
    FROM application_fee_refunds r JOIN application_fees f USING (tenant_id, fee_id);

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['application_fees', 'application_fee_refunds'] LOOP
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
