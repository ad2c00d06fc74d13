-- The bank's lines beside the book's, and the runs that compare them.

-- One row for each balance transaction of Stripe that was ever seen; net = amount - fee, signed as Stripe signs.
CREATE TABLE bank_lines (
    balance_transaction_id text PRIMARY KEY,
    type                   text NOT NULL,
    reporting_category     text NOT NULL,
    source_id              text,
    amount_minor           bigint NOT NULL,
    fee_minor              bigint NOT NULL,
    net_minor              bigint NOT NULL,
    currency               currency NOT NULL,                       -- of the balance, not of the charge
    created_at             timestamptz NOT NULL,
    available_at           timestamptz NOT NULL,
    payout_id              text,                                    -- the payout that contained it, once that is known
    seen_at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (net_minor = amount_minor - fee_minor)
);
CREATE INDEX bank_lines_by_time ON bank_lines USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX bank_lines_of_payout ON bank_lines (payout_id) WHERE payout_id IS NOT NULL;
CREATE TRIGGER bank_lines_are_kept BEFORE DELETE OR TRUNCATE ON bank_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One comparison of a window. It goes through its phases with a cursor in each, so that a run that was killed goes on
-- where it stood: Stripe's list page by page, then the book's journals hour by hour, then the cases that are open.
CREATE TABLE reconciliation_runs (
    run_id         uuid PRIMARY KEY DEFAULT uuidv7(),
    span           text NOT NULL CHECK (span IN ('rolling', 'daily')),
    state          text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'abandoned')),
    phase          text NOT NULL DEFAULT 'listing' CHECK (phase IN ('listing', 'searching', 'rechecking')),
    window_from    timestamptz NOT NULL,
    window_until   timestamptz NOT NULL,
    listed_to      text,                                            -- the last balance transaction of the last page
    searched_until timestamptz NOT NULL,
    rechecked_to   uuid,                                            -- the last case that was looked at again
    lines          bigint NOT NULL DEFAULT 0 CHECK (lines >= 0),
    mismatches     bigint NOT NULL DEFAULT 0 CHECK (mismatches >= 0),
    cases_opened   bigint NOT NULL DEFAULT 0 CHECK (cases_opened >= 0),
    cases_closed   bigint NOT NULL DEFAULT 0 CHECK (cases_closed >= 0),
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    CHECK (window_from < window_until),
    CHECK ((state = 'done') = (finished_at IS NOT NULL))
);
CREATE UNIQUE INDEX reconciliation_runs_one_running ON reconciliation_runs (span) WHERE state = 'running';
CREATE INDEX reconciliation_runs_by_start ON reconciliation_runs (started_at);

CREATE INDEX charges_of_balance_transaction ON charges (balance_transaction_id) WHERE balance_transaction_id IS NOT NULL;
-- The ledger lies in the order of its times; BRIN finds an hour of it and costs an insert next to nothing.
CREATE INDEX ledger_journals_by_time ON ledger_journals USING brin (posted_at)
    WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX refunds_of_balance_transaction ON refunds (balance_transaction_id)
    WHERE balance_transaction_id IS NOT NULL;
CREATE INDEX refunds_of_failure_balance_transaction ON refunds (failure_balance_transaction_id)
    WHERE failure_balance_transaction_id IS NOT NULL;
CREATE INDEX ledger_journals_of_disputes ON ledger_journals (source_id) WHERE kind IN ('dispute', 'dispute_reversal');

-- Which object of Stripe belongs to which balance transaction, and as what the ledger books it.
CREATE VIEW book_movements WITH (security_invoker = true) AS
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
    FROM ledger_journals WHERE kind IN ('dispute', 'dispute_reversal');

-- The movement itself, and beside it the fee and the conversion that Stripe booked in the same balance transaction.
CREATE VIEW book_facts WITH (security_invoker = true) AS
    SELECT tenant_id, payment_id, balance_transaction_id, kind, source_id FROM book_movements
    UNION ALL
    SELECT m.tenant_id, m.payment_id, m.balance_transaction_id, beside.kind, m.balance_transaction_id
    FROM book_movements m CROSS JOIN (VALUES ('stripe_fee'), ('conversion')) AS beside (kind);

CREATE VIEW book_journals WITH (security_invoker = true) AS
    SELECT f.balance_transaction_id, f.tenant_id, f.payment_id, j.journal_id, j.posted_at
    FROM book_facts f
    JOIN ledger_journals j ON j.tenant_id = f.tenant_id AND j.kind = f.kind AND j.source_id = f.source_id;

-- What the ledger's own entries say lies at Stripe because of a balance transaction, corrections included.
CREATE VIEW book_lines WITH (security_invoker = true) AS
    SELECT b.balance_transaction_id, b.tenant_id, b.payment_id, a.currency, sum(e.amount_minor)::bigint AS net_minor
    FROM (
        SELECT balance_transaction_id, tenant_id, payment_id, journal_id FROM book_journals
        UNION ALL
        SELECT b.balance_transaction_id, b.tenant_id, b.payment_id, r.journal_id
        FROM book_journals b
        JOIN ledger_journals r
            ON r.tenant_id = b.tenant_id AND r.kind = 'reversal' AND r.source_id = b.journal_id::text
    ) b
    JOIN ledger_entries e ON e.tenant_id = b.tenant_id AND e.journal_id = b.journal_id
    JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.account_id = e.account_id AND a.code = 'stripe_balance'
    GROUP BY b.balance_transaction_id, b.tenant_id, b.payment_id, a.currency;

GRANT SELECT ON bank_lines, reconciliation_runs, book_movements, book_facts, book_journals, book_lines
    TO fleet_system, fleet_ops;
GRANT INSERT ON bank_lines, reconciliation_runs TO fleet_system;
GRANT UPDATE (payout_id) ON bank_lines TO fleet_system;
GRANT UPDATE (state, phase, listed_to, searched_until, rechecked_to, lines, mismatches, cases_opened, cases_closed,
              moved_at, finished_at)
    ON reconciliation_runs TO fleet_system;
