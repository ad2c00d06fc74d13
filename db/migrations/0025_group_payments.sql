-- Groups: several buyers pay shares of one order by a deadline, all or nothing.
--
-- A share is an ordinary payment of an order of its own; the group only decides when it is captured, cancelled or given
-- back (deploy/decisions/0007-group-payments.md). The database holds what must not be forgotten: the moves, that a group
-- is complete only when every share is secured, settled only when every share is captured, and voided only when nothing
-- is held or kept any more.

CREATE TABLE groups (
    tenant_id     uuid NOT NULL REFERENCES tenants,
    group_id      uuid NOT NULL,
    venue_id      uuid NOT NULL,
    event_id      uuid NOT NULL,
    organiser_id  uuid NOT NULL,                                   -- one of its members
    amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
    currency      currency NOT NULL,
    deadline      timestamptz NOT NULL,
    told_by       text NOT NULL,                                   -- the event, or the request of the API, that opened it
    fingerprint   bytea NOT NULL CHECK (length(fingerprint) = 32), -- SHA-256 of its data in canonical form
    state         text NOT NULL DEFAULT 'open' CONSTRAINT groups_state_check CHECK (state IN (
                      'open', 'complete', 'settled', 'expired', 'cancelled', 'voided')),
    state_reason  text,
    state_by      text NOT NULL,
    state_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq   integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, group_id),
    UNIQUE (tenant_id, group_id, currency),                        -- so that a share can name its group's currency
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues
);
-- What the sweep reads.
CREATE INDEX groups_open ON groups (deadline) WHERE state = 'open';
CREATE INDEX groups_ending ON groups (state_since) WHERE state IN ('complete', 'expired', 'cancelled');
CREATE INDEX groups_of_event ON groups (tenant_id, event_id);

-- A group's share of the book of payments: the payment knows its group, so that whoever settles it wakes the group.
ALTER TABLE payments
    ADD COLUMN group_id uuid,
    ADD CONSTRAINT payments_of_a_group FOREIGN KEY (tenant_id, group_id) REFERENCES groups;
CREATE INDEX payments_of_group ON payments (tenant_id, group_id) WHERE group_id IS NOT NULL;

CREATE TABLE group_members (
    tenant_id    uuid NOT NULL,
    group_id     uuid NOT NULL,
    member_id    uuid NOT NULL,
    place        integer NOT NULL CHECK (place >= 1),
    buyer_id     text NOT NULL,
    share_minor  bigint NOT NULL CHECK (share_minor > 0),
    currency     currency NOT NULL,
    payment_id   uuid,                                             -- what pays the share, as it stands; perhaps others too
    state        text NOT NULL DEFAULT 'invited' CONSTRAINT group_members_state_check CHECK (state IN (
                     'invited', 'paying', 'held', 'paid', 'failed', 'voided', 'refunded')),
    state_reason text,
    state_by     text NOT NULL,
    state_since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq  integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, group_id, member_id),
    UNIQUE (tenant_id, group_id, place),
    UNIQUE (tenant_id, group_id, buyer_id),
    FOREIGN KEY (tenant_id, group_id, currency) REFERENCES groups (tenant_id, group_id, currency),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    CHECK (payment_id IS NOT NULL OR state IN ('invited', 'voided'))
);
CREATE INDEX group_members_of_buyer ON group_members (tenant_id, buyer_id);

CREATE TABLE group_tickets (
    tenant_id        uuid NOT NULL,
    group_id         uuid NOT NULL,
    ticket_id        uuid NOT NULL,
    place            integer NOT NULL CHECK (place >= 1),
    face_price_minor bigint NOT NULL CHECK (face_price_minor >= 0),
    currency         currency NOT NULL,
    seat             text NOT NULL,
    holder_id        uuid NOT NULL,                                -- whose ticket it is, whoever pays for it
    PRIMARY KEY (tenant_id, group_id, ticket_id),
    FOREIGN KEY (tenant_id, group_id, currency) REFERENCES groups (tenant_id, group_id, currency),
    FOREIGN KEY (tenant_id, group_id, holder_id) REFERENCES group_members
);

-- Every payment that was ever begun for a group. `member_ids` are the shares it pays: one, or those of a top-up.
CREATE TABLE group_attempts (
    tenant_id       uuid NOT NULL,
    group_id        uuid NOT NULL,
    attempt         integer NOT NULL CHECK (attempt >= 1),
    payment_id      uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('share', 'top_up')),
    payer_id        uuid NOT NULL,
    member_ids      uuid[] NOT NULL CHECK (cardinality(member_ids) >= 1),
    idempotency_key text NOT NULL,
    fingerprint     bytea NOT NULL CHECK (length(fingerprint) = 32),
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, group_id, attempt),
    UNIQUE (tenant_id, payment_id),
    UNIQUE (tenant_id, group_id, idempotency_key),                 -- one click, one payment
    FOREIGN KEY (tenant_id, group_id, payer_id) REFERENCES group_members,
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments
);
CREATE TRIGGER group_attempts_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON group_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE group_reminders (
    tenant_id   uuid NOT NULL,
    group_id    uuid NOT NULL,
    remind_at   timestamptz NOT NULL,
    reminded_at timestamptz,
    PRIMARY KEY (tenant_id, group_id, remind_at),
    FOREIGN KEY (tenant_id, group_id) REFERENCES groups
);
CREATE INDEX group_reminders_due ON group_reminders (remind_at) WHERE reminded_at IS NULL;

-- ---------------------------------------------------------------------------------------------------------------
-- Moves and history

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('group', 'open', 'complete'),
    ('group', 'open', 'expired'),
    ('group', 'open', 'cancelled'),
    ('group', 'complete', 'settled'),
    ('group', 'complete', 'cancelled'),                            -- a capture came to nothing, or it was called off
    ('group', 'settled', 'cancelled'),
    ('group', 'expired', 'voided'),
    ('group', 'cancelled', 'voided'),
    ('group_member', 'invited', 'paying'),
    ('group_member', 'invited', 'voided'),
    ('group_member', 'paying', 'held'),
    ('group_member', 'paying', 'paid'),
    ('group_member', 'paying', 'failed'),
    ('group_member', 'paying', 'voided'),
    ('group_member', 'paying', 'refunded'),                        -- it was captured and given back between two looks
    ('group_member', 'held', 'paid'),
    ('group_member', 'held', 'failed'),                            -- the hold ended before the deadline
    ('group_member', 'held', 'voided'),
    ('group_member', 'held', 'refunded'),
    ('group_member', 'paid', 'failed'),                            -- given back while the group was still open
    ('group_member', 'paid', 'refunded'),
    ('group_member', 'failed', 'paying'),
    ('group_member', 'failed', 'held'),                            -- the buyer paid the declined intent with another card
    ('group_member', 'failed', 'paid'),
    ('group_member', 'failed', 'voided'),
    ('group_member', 'failed', 'refunded');

CREATE TABLE group_history (
    tenant_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, group_id, seq),
    FOREIGN KEY (tenant_id, group_id) REFERENCES groups,
    CHECK ((seq = 1) = (from_state IS NULL))
);
CREATE TABLE group_member_history (
    tenant_id  uuid NOT NULL,
    group_id   uuid NOT NULL,
    member_id  uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    payment_id uuid,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, group_id, member_id, seq),
    FOREIGN KEY (tenant_id, group_id, member_id) REFERENCES group_members,
    CHECK ((seq = 1) = (from_state IS NULL))
);

CREATE FUNCTION guard_group() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    wanted text[];
    off    integer;
    shares bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' OR NEW.history_seq <> 1 THEN
            RAISE EXCEPTION 'a group starts as open, not as %', NEW.state USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.group_id, NEW.venue_id, NEW.event_id, NEW.organiser_id, NEW.amount_minor, NEW.currency,
        NEW.deadline, NEW.fingerprint)
       IS DISTINCT FROM (OLD.tenant_id, OLD.group_id, OLD.venue_id, OLD.event_id, OLD.organiser_id, OLD.amount_minor,
        OLD.currency, OLD.deadline, OLD.fingerprint) THEN
        RAISE EXCEPTION 'group %: what was opened cannot change', OLD.group_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'group' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'group %: % -> % is not a legal move', OLD.group_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    wanted := CASE NEW.state
        WHEN 'complete' THEN ARRAY['held', 'paid']
        WHEN 'settled' THEN ARRAY['paid']
        WHEN 'voided' THEN ARRAY['voided', 'refunded'] END;
    IF wanted IS NOT NULL THEN
        SELECT count(*) FILTER (WHERE state <> ALL (wanted)), sum(share_minor) INTO off, shares
        FROM group_members WHERE tenant_id = NEW.tenant_id AND group_id = NEW.group_id;
        IF off > 0 OR shares IS DISTINCT FROM NEW.amount_minor THEN
            RAISE EXCEPTION 'group % cannot be %: % members are not there, and the shares add up to % of %',
                NEW.group_id, NEW.state, off, shares, NEW.amount_minor USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION guard_group_member() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'invited' OR NEW.history_seq <> 1 OR NEW.payment_id IS NOT NULL THEN
            RAISE EXCEPTION 'a member starts as invited, not as %', NEW.state USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.group_id, NEW.member_id, NEW.place, NEW.buyer_id, NEW.share_minor, NEW.currency)
       IS DISTINCT FROM (OLD.tenant_id, OLD.group_id, OLD.member_id, OLD.place, OLD.buyer_id, OLD.share_minor,
        OLD.currency) THEN
        RAISE EXCEPTION 'member %: a share cannot change', OLD.member_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.payment_id IS DISTINCT FROM OLD.payment_id AND OLD.state NOT IN ('invited', 'paying', 'failed') THEN
        RAISE EXCEPTION 'member %: the share is %, another payment cannot take its place', OLD.member_id, OLD.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'group_member' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'member %: % -> % is not a legal move', OLD.member_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE FUNCTION write_group_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO group_history (tenant_id, group_id, seq, from_state, to_state, reason, by)
    VALUES (NEW.tenant_id, NEW.group_id, NEW.history_seq,
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by);
    RETURN NULL;
END
$$;
CREATE FUNCTION write_group_member_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO group_member_history (tenant_id, group_id, member_id, seq, from_state, to_state, payment_id, reason, by)
    VALUES (NEW.tenant_id, NEW.group_id, NEW.member_id, NEW.history_seq,
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.payment_id, NEW.state_reason, NEW.state_by);
    RETURN NULL;
END
$$;

CREATE TRIGGER a_group_moves_legally BEFORE INSERT OR UPDATE ON groups
    FOR EACH ROW EXECUTE FUNCTION guard_group();
CREATE TRIGGER a_group_start_is_history AFTER INSERT ON groups
    FOR EACH ROW EXECUTE FUNCTION write_group_history();
CREATE TRIGGER a_group_move_is_history AFTER UPDATE ON groups
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_group_history();
CREATE TRIGGER a_group_member_moves_legally BEFORE INSERT OR UPDATE ON group_members
    FOR EACH ROW EXECUTE FUNCTION guard_group_member();
CREATE TRIGGER a_group_member_start_is_history AFTER INSERT ON group_members
    FOR EACH ROW EXECUTE FUNCTION write_group_member_history();
CREATE TRIGGER a_group_member_move_is_history AFTER UPDATE ON group_members
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_group_member_history();
CREATE TRIGGER group_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON group_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER group_member_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON group_member_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Purchase limits: how many tickets of an event one buyer may have, by single orders and in groups together. Whoever
-- buys under a limit holds the buyer's lock from before the count to the commit (db/purchase_limits.py).

CREATE TABLE purchase_limits (
    tenant_id         uuid NOT NULL REFERENCES tenants,
    event_id          uuid NOT NULL,
    tickets_per_buyer integer NOT NULL CHECK (tickets_per_buyer >= 1),
    set_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX payments_of_buyer ON payments (tenant_id, buyer_id);

-- ---------------------------------------------------------------------------------------------------------------
-- A refund may come from a group that was not completed. The list grows by what it is, so that no other is forgotten.

DO $$
DECLARE
    old  text;
    rule text;
BEGIN
    SELECT conname, pg_get_constraintdef(oid) INTO STRICT old, rule FROM pg_constraint
    WHERE conrelid = 'refunds'::regclass AND contype = 'c'
      AND pg_get_constraintdef(oid) LIKE '%(source = ANY%' AND pg_get_constraintdef(oid) LIKE '%order_event%';
    EXECUTE format('ALTER TABLE refunds DROP CONSTRAINT %I', old);
    EXECUTE format('ALTER TABLE refunds ADD CONSTRAINT %I %s', old, replace(rule, 'ARRAY[', 'ARRAY[''group''::text, '));
END
$$;

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['groups', 'group_members', 'group_tickets', 'group_attempts', 'group_reminders',
                                 'group_history', 'group_member_history', 'purchase_limits'] LOOP
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
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq) ON groups TO fleet_tenant;
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq, payment_id) ON group_members TO fleet_tenant;
GRANT UPDATE (reminded_at) ON group_reminders TO fleet_tenant;
GRANT UPDATE (tickets_per_buyer, set_at) ON purchase_limits TO fleet_tenant;

-- Operators call a group off through a worker. A policy of its own: permissive policies add up.
CREATE POLICY ops_queue_groups ON outbox FOR INSERT TO fleet_ops WITH CHECK (kind = 'cancel_group');
