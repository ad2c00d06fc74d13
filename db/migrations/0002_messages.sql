-- Messages: what is on its way out, what came in from Stripe, what failed, and what a person must look at.

-- The outbox holds only what still has to be published: the relay deletes a row once the broker has confirmed it, so
-- the table stays as small as the backlog. `body` is the wire form, ready to publish.
CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id    uuid,                                             -- NULL: work of the whole platform
    message_id   uuid NOT NULL,
    kind         text NOT NULL,                                    -- actor name, or type of the public event
    exchange     text NOT NULL,                                    -- '' for our own queues
    routing_key  text NOT NULL,
    ordering_key uuid,
    -- Rows of one ordering key share a lane, and a lane is published by one relay at a time: that keeps their order.
    lane         smallint NOT NULL CHECK (lane BETWEEN 0 AND 7),
    attempt      integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    -- clock_timestamp, not now(): assigned after the payment's row lock is held, so that of two transactions on one
    -- payment the later one gets the later time even when it began first.
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    refusals     integer NOT NULL DEFAULT 0,                       -- how often the broker returned or nacked it
    body         bytea NOT NULL,
    PRIMARY KEY (id)
) WITH (
    -- A queue table turns over completely every few seconds; PERF: dead rows, not live ones, are what makes it slow.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX outbox_due ON outbox (due_at, id);
CREATE INDEX outbox_of_key ON outbox (ordering_key) WHERE ordering_key IS NOT NULL;

CREATE TABLE outbox_lanes (lane smallint PRIMARY KEY);
INSERT INTO outbox_lanes SELECT generate_series(0, 7);

-- One row per failed run of a handler: append-only history of why a message is being retried.
CREATE TABLE message_failures (
    tenant_id   uuid,
    message_id  uuid NOT NULL,
    run         integer NOT NULL CHECK (run >= 1),                 -- every delivery that failed
    attempt     integer NOT NULL CHECK (attempt >= 1),             -- those of them that spent a try
    kind        text NOT NULL,
    payment_id  uuid,
    verdict     text NOT NULL CHECK (verdict IN ('try_again', 'try_later', 'give_up')),
    error_class text NOT NULL,
    reason      text NOT NULL,
    next_due_at timestamptz,
    failed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A redelivery after the commit finds its run written down, and so appends no second retry.
    PRIMARY KEY (message_id, run),
    CHECK ((verdict = 'give_up') = (next_due_at IS NULL))
);
CREATE TRIGGER message_failures_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON message_failures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What no retry can help. Nothing ever expires here.
CREATE TABLE dead_letters (
    dead_letter_id uuid NOT NULL DEFAULT uuidv7() PRIMARY KEY,
    tenant_id      uuid,                                           -- NULL when the message was too broken to say
    source         text NOT NULL CHECK (source IN ('worker', 'orders', 'broker')),
    message_id     text,
    kind           text,
    payment_id     uuid,
    reason         text NOT NULL,
    payload        text NOT NULL,                                  -- redacted; bytes that are no text are escaped
    payload_sha256 bytea NOT NULL CHECK (length(payload_sha256) = 32),
    headers        jsonb NOT NULL DEFAULT '{}',
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved', 'discarded')),
    died_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letters_open ON dead_letters (died_at) WHERE state = 'open';
CREATE INDEX dead_letters_of_payment ON dead_letters (payment_id) WHERE payment_id IS NOT NULL;
-- A redelivery of the same broken bytes is the same dead letter.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (source, payload_sha256, (coalesce(message_id, '')));

-- Verified events of Stripe, without secrets and personal data (messages/redaction.py). An event is a hint: handlers
-- fetch the object when order matters.
CREATE TABLE webhook_inbox (
    event_id     text PRIMARY KEY,
    tenant_id    uuid,                                             -- from our metadata, when the object carries it
    payment_id   uuid,
    event_type   text NOT NULL,
    object_id    text,
    account      text,
    api_version  text,
    livemode     boolean NOT NULL,
    payload      jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'applied', 'kept', 'unmatched')),
    note         text,
    occurred_at  timestamptz NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at   timestamptz,
    CHECK ((state IN ('applied', 'kept')) = (settled_at IS NOT NULL))
);
CREATE INDEX webhook_inbox_waiting ON webhook_inbox (received_at) WHERE state IN ('pending', 'unmatched');

-- Periodic messages: one row per name and due time, so that several schedulers append each only once.
CREATE TABLE schedule_runs (
    name        text NOT NULL,
    due_at      timestamptz NOT NULL,
    appended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, due_at)
);

-- Whom the sweep has woken, how often, and when it may look again.
CREATE TABLE wake_ups (
    subject    text PRIMARY KEY,
    times      integer NOT NULL,
    not_before timestamptz NOT NULL
);
