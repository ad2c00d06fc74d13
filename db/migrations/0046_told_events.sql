-- What other services were told, byte for byte. The outbox forgets a row once the broker has it; a broker that loses its
-- data before the other service has read it would take the fact, and the id by which it is known, with it.
CREATE TABLE told_events (
    message_id uuid PRIMARY KEY,                                     -- the CloudEvent's id
    tenant_id  uuid NOT NULL,
    kind       text NOT NULL,                                        -- the CloudEvent's type
    subject_id uuid NOT NULL,                                        -- its subject: a payment, a group, a ticket's payment
    told_at    timestamptz NOT NULL DEFAULT clock_timestamp(),       -- when the broker had confirmed it for the first time
    place      bigint NOT NULL,                                      -- its outbox row's id: the order within one moment
    body       bytea NOT NULL
);
CREATE INDEX told_events_in_order ON told_events (told_at, place);
CREATE TRIGGER told_events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON told_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_forgetting();
ALTER TABLE told_events ENABLE ROW LEVEL SECURITY;

-- The relay writes them down as it settles them, and reads none; operators read them.
CREATE POLICY mover_keeps ON told_events FOR INSERT TO fleet_mover WITH CHECK (true);
GRANT INSERT ON told_events TO fleet_mover;
CREATE POLICY ops_read ON told_events FOR SELECT TO fleet_ops USING (true);
GRANT SELECT ON told_events TO fleet_ops;

-- An operator tells others nothing but what they were told before.
CREATE POLICY ops_tells_again ON outbox FOR INSERT TO fleet_ops WITH CHECK (exchange = 'payments' AND EXISTS (
    SELECT FROM told_events t
    WHERE t.message_id = outbox.message_id AND t.kind = outbox.routing_key AND t.body = outbox.body));

-- Deletes at most `at_most` rows of one table and returns how many; NULL when parity does not hold. What is still being
-- worked on, or belongs to an open dead letter, stays whatever its age.
CREATE OR REPLACE FUNCTION forget(what text, older_than_days integer, at_most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    youngest constant jsonb := '{"webhook_inbox": 35, "message_failures": 90, "calls": 90, "reconciliation_runs": 30,
                             "told_events": 7}';
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
        WHEN 'told_events' THEN
            DELETE FROM told_events WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM told_events WHERE told_at < before LIMIT at_most));
    END CASE;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('fleet.forgetting', '', true);
    RETURN gone;
END
$$;
