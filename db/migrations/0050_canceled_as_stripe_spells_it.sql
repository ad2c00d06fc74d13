-- `canceled`, as Stripe spells it, is the one spelling of our own states. Groups, mass refunds and replay batches said
-- `cancelled`; the database takes both from here on (deploy/decisions/0011-one-spelling-of-canceled.md).
--
-- For one release it stores what it stored before: a worker of the previous release reads these rows, knows only
-- `cancelled`, and would stumble over a group that is `canceled`. The next release drops the three triggers at the end.

INSERT INTO legal_moves (subject, from_state, to_state)
SELECT subject, replace(from_state, 'cancelled', 'canceled'), replace(to_state, 'cancelled', 'canceled')
FROM legal_moves WHERE 'cancelled' IN (from_state, to_state);

-- The lists grow by what they are, so that no other word of them is forgotten.
DO $$
DECLARE
    checked record;
BEGIN
    FOR checked IN
        SELECT conrelid::regclass AS owned, conname AS name, pg_get_constraintdef(oid) AS rule FROM pg_constraint
        WHERE conrelid IN ('groups'::regclass, 'event_cancellations'::regclass, 'replay_batches'::regclass)
          AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%''cancelled''::text%'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', checked.owned, checked.name);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', checked.owned, checked.name,
                       replace(checked.rule, '''cancelled''::text', '''cancelled''::text, ''canceled''::text'));
    END LOOP;
END
$$;

DROP INDEX groups_ending;
CREATE INDEX groups_ending ON groups (state_since) WHERE state IN ('complete', 'expired', 'cancelled', 'canceled');
DROP INDEX event_cancellations_once;
CREATE UNIQUE INDEX event_cancellations_once ON event_cancellations (tenant_id, event_id)
    WHERE state NOT IN ('cancelled', 'canceled');

CREATE OR REPLACE FUNCTION cancelled_among(events uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(event_lock(current_tenant(), wanted.event))
    FROM (SELECT DISTINCT unnest(events) AS event ORDER BY 1) AS wanted;
    RETURN QUERY
        SELECT c.event_id FROM event_cancellations c
        WHERE c.tenant_id = current_tenant() AND c.event_id = ANY (events)
          AND c.state NOT IN ('awaiting_approval', 'cancelled', 'canceled');
END
$$;
ALTER POLICY ops_steer ON event_cancellations WITH CHECK (state IN ('running', 'paused', 'cancelled', 'canceled'));

-- Before the triggers that judge a move, which fire in the order of their names.
CREATE FUNCTION store_the_old_spelling() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.state := 'cancelled';
    RETURN NEW;
END
$$;
CREATE TRIGGER a_canceled_one_is_stored_as_before BEFORE INSERT OR UPDATE OF state ON groups
    FOR EACH ROW WHEN (NEW.state = 'canceled') EXECUTE FUNCTION store_the_old_spelling();
CREATE TRIGGER a_canceled_one_is_stored_as_before BEFORE INSERT OR UPDATE OF state ON event_cancellations
    FOR EACH ROW WHEN (NEW.state = 'canceled') EXECUTE FUNCTION store_the_old_spelling();
CREATE TRIGGER a_canceled_one_is_stored_as_before BEFORE INSERT OR UPDATE OF state ON replay_batches
    FOR EACH ROW WHEN (NEW.state = 'canceled') EXECUTE FUNCTION store_the_old_spelling();
