-- The one way in which old rows may go: a function that deletes only what is old enough, in small batches, and only
-- while the book and the bank agree. No role may delete by itself, and an append-only table lets nothing else through.

-- Open cases that mean money nobody has explained or given back.
CREATE INDEX reconciliation_cases_of_money ON reconciliation_cases (type) WHERE state = 'open' AND type IN (
    'missing_in_book', 'missing_at_stripe', 'amount_differs', 'unknown_tenant', 'payout_unexplained', 'refund_failed',
    'refund_stuck');

-- No open case about money, and the last daily reconciliation was finished, not long ago.
CREATE FUNCTION parity_holds() RETURNS boolean
LANGUAGE sql STABLE
RETURN NOT EXISTS (
        SELECT FROM reconciliation_cases
        WHERE state = 'open' AND type IN (
            'missing_in_book', 'missing_at_stripe', 'amount_differs', 'unknown_tenant', 'payout_unexplained',
            'refund_failed', 'refund_stuck'))
    AND coalesce((
        SELECT state = 'done' AND finished_at > clock_timestamp() - interval '36 hours'
        FROM reconciliation_runs WHERE span = 'daily' ORDER BY started_at DESC LIMIT 1), false);

-- Rows lie in the order of their times; BRIN finds the old ones and costs an insert next to nothing.
CREATE INDEX webhook_inbox_by_time ON webhook_inbox USING brin (received_at) WITH (autosummarize = on);
CREATE INDEX message_failures_by_time ON message_failures USING brin (failed_at) WITH (autosummarize = on);
CREATE INDEX calls_by_time ON calls USING brin (first_sent_at) WITH (autosummarize = on);

-- An attempt is history and stays; the call it names may be forgotten before it.
ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_tenant_id_call_id_fkey;

CREATE FUNCTION refuse_change_but_forgetting() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID);
BEGIN
    IF TG_OP = 'DELETE' AND current_user = owner AND current_setting('fleet.forgetting', true) = TG_TABLE_NAME THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
DROP TRIGGER message_failures_are_append_only ON message_failures;
CREATE TRIGGER message_failures_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON message_failures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_forgetting();

-- Deletes at most `at_most` rows of one table and returns how many; NULL when parity does not hold. What is still being
-- worked on, or belongs to an open dead letter, stays whatever its age.
CREATE FUNCTION forget(what text, older_than_days integer, at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    youngest constant jsonb := '{"webhook_inbox": 35, "message_failures": 90, "calls": 90, "reconciliation_runs": 30}';
    before   timestamptz := clock_timestamp() - make_interval(days => older_than_days);
    gone     bigint;
BEGIN
    IF NOT youngest ? what THEN
        RAISE EXCEPTION 'nothing is ever forgotten of %', what USING ERRCODE = 'restrict_violation';
    END IF;
    -- Stripe lists events for thirty days: one that was forgotten sooner would be taken in again by the sweep.
    IF older_than_days < (youngest ->> what)::integer THEN
        RAISE EXCEPTION '% is kept for at least % days', what, youngest ->> what USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT parity_holds() THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('fleet.forgetting', what, true);
    CASE what
        WHEN 'webhook_inbox' THEN
            DELETE FROM webhook_inbox WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM webhook_inbox
                WHERE received_at < before AND settled_at < before AND occurred_at < before
                LIMIT at_most));
        WHEN 'message_failures' THEN
            DELETE FROM message_failures WHERE ctid = ANY (ARRAY(
                SELECT f.ctid FROM message_failures f
                WHERE f.failed_at < before AND NOT EXISTS (
                    SELECT FROM dead_letters d
                    WHERE d.message_id = f.message_id::text AND d.state IN ('open', 'replaying'))
                LIMIT at_most));
        WHEN 'calls' THEN
            DELETE FROM calls WHERE ctid = ANY (ARRAY(
                SELECT c.ctid FROM calls c
                WHERE c.first_sent_at < before AND c.settled_at < before AND c.outcome <> 'unknown'
                  AND NOT EXISTS (
                      SELECT FROM payments p
                      WHERE p.tenant_id = c.tenant_id AND p.payment_id = c.subject_id
                        AND p.state NOT IN ('succeeded', 'canceled', 'failed'))
                LIMIT at_most));
        WHEN 'reconciliation_runs' THEN
            DELETE FROM reconciliation_runs WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM reconciliation_runs
                WHERE started_at < before AND span = 'rolling' AND state <> 'running'
                LIMIT at_most));
    END CASE;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('fleet.forgetting', '', true);
    RETURN gone;
END
$$;
REVOKE EXECUTE ON FUNCTION forget(text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget(text, integer, integer) TO fleet_system;
