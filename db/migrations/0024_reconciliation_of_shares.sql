-- Shares are compared by runs of their own: Stripe's transfers page by page, then the cut of each payment by the rule,
-- the frozen rows and the ledger, then the cases that are open.
ALTER TABLE reconciliation_runs
    DROP CONSTRAINT reconciliation_runs_span_check,
    ADD CONSTRAINT reconciliation_runs_span_check
        CHECK (span IN ('rolling', 'daily', 'shares_rolling', 'shares_daily'));
-- A page of them is found by its time.
CREATE INDEX distributions_by_time ON distributions (frozen_at);
