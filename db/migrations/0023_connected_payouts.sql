-- Payouts of connected accounts: when what we transferred left for a recipient's bank, what each payout contained, and
-- what lies in the account by Stripe. They belong to the accounts, which may be those of recipients of several tenants.

CREATE TABLE connected_payouts (
    payout_id      text PRIMARY KEY,
    account_id     text NOT NULL,
    amount_minor   bigint NOT NULL,
    currency       currency NOT NULL,
    automatic      boolean NOT NULL,                               -- only then does Stripe tell what it contained
    status         text NOT NULL,                                  -- Stripe's word
    failure_code   text,
    contents_ready boolean NOT NULL,
    created_at     timestamptz NOT NULL,
    arrives_at     timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    paid_at        timestamptz,                                    -- when we first saw it paid; stays when it came back
    came_back_at   timestamptz,                                    -- when we first saw it failed or canceled
    listed_at      timestamptz,                                    -- its contents are here
    CHECK (listed_at IS NULL OR automatic)
);
CREATE INDEX connected_payouts_of_account ON connected_payouts (account_id, created_at);
CREATE INDEX connected_payouts_unlisted ON connected_payouts (account_id) WHERE automatic AND listed_at IS NULL;

CREATE FUNCTION guard_connected_payout() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.payout_id, NEW.account_id, NEW.amount_minor, NEW.currency, NEW.automatic)
       IS DISTINCT FROM (OLD.payout_id, OLD.account_id, OLD.amount_minor, OLD.currency, OLD.automatic) THEN
        RAISE EXCEPTION 'payout %: what left cannot change', OLD.payout_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.status IN ('failed', 'canceled') AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'payout % is %, and stays so', OLD.payout_id, OLD.status USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_connected_payout_stays_what_it_was BEFORE UPDATE ON connected_payouts
    FOR EACH ROW EXECUTE FUNCTION guard_connected_payout();
CREATE TRIGGER connected_payouts_are_kept BEFORE DELETE OR TRUNCATE ON connected_payouts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Balance transactions of the account that a payout contained; `made_by` is the transfer, reversal or fee refund of the
-- platform that made it, and NULL for what the account did by itself.
CREATE TABLE connected_payout_lines (
    payout_id              text NOT NULL REFERENCES connected_payouts,
    balance_transaction_id text NOT NULL,
    type                   text NOT NULL,
    source_id              text,
    made_by                text,
    net_minor              bigint NOT NULL,
    currency               currency NOT NULL,
    created_at             timestamptz NOT NULL,
    PRIMARY KEY (payout_id, balance_transaction_id)
);
CREATE INDEX connected_payout_lines_of_transfer ON connected_payout_lines (made_by) WHERE made_by IS NOT NULL;
CREATE TRIGGER connected_payout_lines_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON connected_payout_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What lies in an account by Stripe's own word, and when we last looked at it and at its payouts.
CREATE TABLE connected_balances (
    account_id      text NOT NULL,
    currency        currency NOT NULL,
    available_minor bigint NOT NULL,
    pending_minor   bigint NOT NULL,
    seen_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, currency)
);
CREATE TABLE connected_looks (
    account_id text PRIMARY KEY,
    looked_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON connected_payouts, connected_payout_lines, connected_balances, connected_looks
    TO fleet_system, fleet_ops;
GRANT INSERT ON connected_payouts, connected_payout_lines, connected_balances, connected_looks TO fleet_system;
GRANT UPDATE (status, failure_code, contents_ready, arrives_at, seen_at, paid_at, came_back_at, listed_at)
    ON connected_payouts TO fleet_system;
GRANT UPDATE (available_minor, pending_minor, seen_at) ON connected_balances TO fleet_system;
GRANT UPDATE (looked_at) ON connected_looks TO fleet_system;
