-- Dead letters that a person can understand and bring back, and the book of what operators did.

ALTER TABLE dead_letters
    -- The bytes as they came, sealed with a public key: whoever writes a dead letter cannot read one.
    ADD COLUMN sealed bytea,
    ADD COLUMN cause text NOT NULL DEFAULT 'gave_up' CHECK (cause IN (
        'tries_used_up', 'gave_up', 'expired', 'undecodable', 'unknown_actor', 'killed_worker', 'refused')),
    ADD COLUMN error_class text NOT NULL DEFAULT '',
    ADD COLUMN top_frame text NOT NULL DEFAULT '',                 -- file:function of ours nearest to the error
    ADD COLUMN queue text,
    ADD COLUMN trace_id text,
    ADD COLUMN deaths integer NOT NULL DEFAULT 1 CHECK (deaths >= 1),
    ADD COLUMN successor_of uuid REFERENCES dead_letters,          -- made by editing that letter's payload
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN closed_by text,
    ADD COLUMN closed_because text,
    DROP CONSTRAINT dead_letters_state_check,
    ADD CONSTRAINT dead_letters_state_check CHECK (state IN ('open', 'replaying', 'resolved', 'discarded')),
    ADD CONSTRAINT dead_letters_closed_check CHECK ((state IN ('resolved', 'discarded')) = (closed_at IS NOT NULL)),
    ADD CONSTRAINT dead_letters_discard_check CHECK (state <> 'discarded' OR closed_because <> '');
-- Letters that died of the same thing at the same place form a group.
ALTER TABLE dead_letters ADD COLUMN group_key text GENERATED ALWAYS AS (
    left(md5(cause || '/' || error_class || '/' || coalesce(kind, '') || '/' || top_frame), 12)) STORED;
CREATE INDEX dead_letters_groups ON dead_letters (group_key) WHERE state = 'open';
CREATE INDEX dead_letters_by_message ON dead_letters (message_id);

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('dead_letter', 'open', 'replaying'),
    ('dead_letter', 'open', 'resolved'),
    ('dead_letter', 'open', 'discarded'),
    ('dead_letter', 'replaying', 'open'),
    ('dead_letter', 'replaying', 'resolved');

CREATE FUNCTION guard_dead_letter_move() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state THEN
        PERFORM FROM legal_moves WHERE subject = 'dead_letter' AND from_state = OLD.state AND to_state = NEW.state;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'dead letter %: % -> % is not a legal move', OLD.dead_letter_id, OLD.state, NEW.state
                USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_dead_letter_moves_legally BEFORE UPDATE ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION guard_dead_letter_move();
CREATE TRIGGER dead_letters_are_kept BEFORE DELETE OR TRUNCATE ON dead_letters
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE message_failures ADD COLUMN traceback text;            -- redacted; our frames and the last of others

-- ---------------------------------------------------------------------------------------------------------------
-- Replay in stages: classifying -> previewed -> [awaiting_approval ->] running -> done; cancelled from any before done.

CREATE TABLE replay_batches (
    batch_id        uuid PRIMARY KEY DEFAULT uuidv7(),
    state           text NOT NULL DEFAULT 'classifying' CHECK (state IN (
                        'classifying', 'previewed', 'awaiting_approval', 'running', 'done', 'cancelled')),
    selection       jsonb NOT NULL,                                -- the filter as the operator gave it
    reason          text NOT NULL CHECK (reason <> ''),
    target_queue    text,                                          -- redirect: publish to this queue instead
    rate_per_second integer NOT NULL DEFAULT 20 CHECK (rate_per_second BETWEEN 1 AND 1000),
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_by      text,
    approved_by     text,
    finished_at     timestamptz,
    CHECK (approved_by IS NULL OR approved_by <> started_by)        -- four eyes are two people
);

-- class: what a replay would mean for money, judged from fresh state (workers/rules/replay.py).
CREATE TABLE replay_items (
    batch_id       uuid NOT NULL REFERENCES replay_batches,
    dead_letter_id uuid NOT NULL REFERENCES dead_letters,
    class          text CHECK (class IN ('already_done', 'safe', 'needs_new_key', 'must_not')),
    proof          text,                                           -- what was seen, in words
    amount_minor   bigint,                                         -- money it may move
    currency       currency,
    state          text NOT NULL DEFAULT 'waiting' CHECK (state IN (
                       'waiting', 'skipped', 'appended', 'closed', 'succeeded', 'failed')),
    moved_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (batch_id, dead_letter_id),
    CHECK (state = 'waiting' OR class IS NOT NULL OR state = 'skipped'),
    CHECK (class IS NULL OR proof IS NOT NULL)
);
CREATE UNIQUE INDEX replay_items_one_under_way ON replay_items (dead_letter_id) WHERE state = 'appended';
CREATE INDEX replay_items_waiting ON replay_items (batch_id) WHERE state = 'waiting';

-- ---------------------------------------------------------------------------------------------------------------
-- The operator log: append-only, each entry chained to the one before by its hash. The chain is made here, so that
-- nobody can forget it; db/operator_log.py walks it.

CREATE TABLE operator_log (
    seq           bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    operator      text NOT NULL CHECK (operator <> ''),
    action        text NOT NULL,
    subject       jsonb NOT NULL,                                  -- which letters, batch or payment
    reason        text NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL
);

CREATE FUNCTION operator_log_hash(
    seq bigint, at timestamptz, operator text, action text, subject jsonb, reason text, previous_hash bytea
) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(previous_hash || convert_to(jsonb_build_array(
    seq, floor(extract(epoch FROM at) * 1000000)::bigint, operator, action, subject, reason)::text, 'UTF8'));

CREATE FUNCTION chain_operator_log() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    last operator_log;
BEGIN
    PERFORM pg_advisory_xact_lock(1869637735);
    SELECT * INTO last FROM operator_log ORDER BY seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.at := clock_timestamp();
    NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := operator_log_hash(
        NEW.seq, NEW.at, NEW.operator, NEW.action, NEW.subject, NEW.reason, NEW.previous_hash);
    RETURN NEW;
END
$$;
CREATE TRIGGER the_operator_log_is_a_chain BEFORE INSERT ON operator_log
    FOR EACH ROW EXECUTE FUNCTION chain_operator_log();
CREATE TRIGGER the_operator_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- fleet_ops: what an operator's process becomes. Sees everything (redacted as it is stored), writes batches and the
-- operator log, closes letters, and may queue nothing but the work of replaying. No money.

DO $$
DECLARE
    seen text;
BEGIN
    FOREACH seen IN ARRAY ARRAY[
        'tenants', 'fee_plans', 'venues', 'orders', 'payments', 'payment_history', 'calls', 'payment_attempts',
        'charges', 'ledger_accounts', 'ledger_journals', 'ledger_entries', 'outbox', 'message_failures',
        'dead_letters', 'webhook_inbox'
    ] LOOP
        EXECUTE format('CREATE POLICY ops_read ON %I FOR SELECT TO fleet_ops USING (true)', seen);
        EXECUTE format('GRANT SELECT ON %I TO fleet_ops', seen);
    END LOOP;
END
$$;
GRANT USAGE ON SCHEMA public TO fleet_ops;
GRANT SELECT ON legal_moves, wake_ups, schedule_runs TO fleet_ops;
CREATE POLICY ops_close ON dead_letters FOR UPDATE TO fleet_ops USING (true) WITH CHECK (state <> 'replaying');
GRANT UPDATE (state, closed_at, closed_by, closed_because) ON dead_letters TO fleet_ops;
CREATE POLICY ops_succeed ON dead_letters FOR INSERT TO fleet_ops WITH CHECK (successor_of IS NOT NULL);
GRANT INSERT ON dead_letters TO fleet_ops;
CREATE POLICY ops_queue ON outbox FOR INSERT TO fleet_ops WITH CHECK (kind IN ('classify', 'replay'));
GRANT INSERT ON outbox TO fleet_ops;

GRANT SELECT ON replay_batches, replay_items, operator_log TO fleet_ops, fleet_system;
GRANT INSERT ON replay_batches, replay_items, operator_log TO fleet_ops;
GRANT UPDATE (state, started_by, approved_by, finished_at) ON replay_batches TO fleet_ops, fleet_system;
GRANT UPDATE (class, proof, amount_minor, currency, state, moved_at) ON replay_items TO fleet_system;

-- Workers move letters as they replay them.
CREATE POLICY platform_replays ON dead_letters FOR UPDATE TO fleet_system USING (true) WITH CHECK (true);
GRANT UPDATE (state, reason, cause, error_class, top_frame, died_at, deaths, headers, closed_at, closed_by, closed_because)
    ON dead_letters TO fleet_system;
