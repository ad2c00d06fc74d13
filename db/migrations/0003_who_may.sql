-- Who may do what (M8). Processes log in as `fleet`, which can do nothing; they become fleet_tenant for one tenant or
-- fleet_system for the platform, for one transaction at a time (db/session.py). Neither owns a table nor bypasses RLS.

GRANT USAGE ON SCHEMA public TO fleet_tenant, fleet_system;

-- A tenant's own rows, read and written.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY[
        'tenants', 'fee_plans', 'venues', 'orders', 'payments', 'payment_history', 'calls', 'payment_attempts',
        'charges', 'ledger_accounts', 'ledger_journals', 'ledger_entries', 'outbox', 'message_failures',
        'dead_letters', 'webhook_inbox'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO fleet_tenant USING (tenant_id = current_tenant()) '
            'WITH CHECK (tenant_id = current_tenant())', owned);
        EXECUTE format('CREATE POLICY platform_reads ON %I FOR SELECT TO fleet_system USING (true)', owned);
        EXECUTE format('GRANT SELECT ON %I TO fleet_tenant, fleet_system', owned);
    END LOOP;
END
$$;

GRANT SELECT ON legal_moves TO fleet_tenant, fleet_system;
GRANT INSERT ON orders, payments, payment_history, calls, payment_attempts, charges, ledger_accounts, ledger_journals,
    ledger_entries, outbox, message_failures, dead_letters TO fleet_tenant;
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq, platform_fee_minor, payment_intent_id)
    ON payments TO fleet_tenant;
GRANT UPDATE (last_sent_at, sends, outcome, needs_lookup, answer, stripe_object_id, stripe_request_id, settled_at)
    ON calls TO fleet_tenant;
GRANT UPDATE (balance_transaction_id, stripe_fee_minor, balance_currency) ON charges TO fleet_tenant;
GRANT UPDATE (state, note, settled_at) ON webhook_inbox TO fleet_tenant;

-- The platform: moves messages, never money.
CREATE POLICY platform_moves ON outbox TO fleet_system USING (true) WITH CHECK (true);
CREATE POLICY platform_notes ON message_failures FOR INSERT TO fleet_system WITH CHECK (true);
CREATE POLICY platform_buries ON dead_letters FOR INSERT TO fleet_system WITH CHECK (true);
CREATE POLICY platform_receives ON webhook_inbox TO fleet_system USING (true) WITH CHECK (true);
GRANT INSERT, DELETE ON outbox TO fleet_system;
GRANT UPDATE (due_at, refusals) ON outbox TO fleet_system;
GRANT SELECT, UPDATE ON outbox_lanes TO fleet_system;  -- UPDATE only for FOR UPDATE; the rows never change
GRANT INSERT ON message_failures, dead_letters TO fleet_system;
GRANT INSERT ON webhook_inbox TO fleet_system;
GRANT UPDATE (state, note, settled_at) ON webhook_inbox TO fleet_system;
GRANT SELECT, INSERT, DELETE ON schedule_runs TO fleet_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON wake_ups TO fleet_system;

-- Tenants, venues and fee plans are written by `fleet tenants import` as the owner of the schema.
