-- Every paid ticket becomes one token: what is wanted, what was signed and sent, and what the chain made of it.
--
-- Three locks hold "one ticket, at most one token" (M11), each alone enough: the key of `mints`, the nonce with its
-- signed bytes committed before the first broadcast (`slots`, `attempts`), and the token id, which the contract mints
-- once. A tenant's own transaction says that a ticket gets a token. The platform then moves it, because one transaction
-- on the chain carries tickets of many tenants; it can make none, and it can change nothing of what was asked for.

CREATE DOMAIN chain_address AS text CHECK (VALUE ~ '^0x[0-9A-Fa-f]{40}$');
CREATE DOMAIN chain_hash AS text CHECK (VALUE ~ '^0x[0-9a-f]{64}$');

-- A venue without a row mints nothing.
CREATE TABLE mint_settings (
    tenant_id            uuid NOT NULL,
    venue_id             uuid NOT NULL,
    mints                text NOT NULL DEFAULT 'off' CHECK (mints IN ('on', 'off')),
    on_since_at          timestamptz NOT NULL DEFAULT clock_timestamp(),  -- what was paid earlier gets no token
    -- Who owns the token of a buyer that named no wallet; without one such tickets wait.
    custodial_wallet     chain_address,
    -- What becomes of a refunded ticket's token.
    refunded_tokens      text NOT NULL DEFAULT 'void' CHECK (refunded_tokens IN ('void', 'leave')),
    royalty_receiver     chain_address,
    royalty_basis_points integer NOT NULL DEFAULT 0 CHECK (royalty_basis_points BETWEEN 0 AND 10000),
    PRIMARY KEY (tenant_id, venue_id),
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues,
    CHECK (royalty_basis_points = 0 OR royalty_receiver IS NOT NULL)
);

-- An event on the chain: what its royalty should be, and what it was when last read there. No receiver: no royalty.
CREATE TABLE series (
    tenant_id           uuid NOT NULL REFERENCES tenants,
    event_id            uuid NOT NULL,
    venue_id            uuid NOT NULL,
    series              text NOT NULL CHECK (series ~ '^0x[0-9a-f]{16}$'),
    wanted_receiver     chain_address,
    wanted_basis_points integer NOT NULL DEFAULT 0 CHECK (wanted_basis_points BETWEEN 0 AND 10000),
    set_receiver        chain_address,
    set_basis_points    integer NOT NULL DEFAULT 0 CHECK (set_basis_points BETWEEN 0 AND 10000),
    read_at             timestamptz,
    PRIMARY KEY (tenant_id, event_id),
    UNIQUE (series),                                               -- 64 bits of a hash; two events must not share them
    FOREIGN KEY (tenant_id, venue_id) REFERENCES venues
);
CREATE INDEX series_to_look_at ON series (event_id)
    WHERE read_at IS NULL
       OR (wanted_receiver, wanted_basis_points) IS DISTINCT FROM (set_receiver, set_basis_points);

-- ---------------------------------------------------------------------------------------------------------------
-- The chain, its signers, and what they sent. The platform's alone.

-- Which chain this is, written down at the first look. Another answer later is another chain, and nothing is sent.
CREATE TABLE chains (
    chain_id     bigint PRIMARY KEY,
    genesis_hash chain_hash NOT NULL,
    contract     chain_address NOT NULL,
    code_hash    chain_hash NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One submitter at a time: whoever holds the lease. Its generation is checked by every write, so that a process which
-- slept through its lease can store nothing any more.
CREATE TABLE signers (
    chain_id         bigint NOT NULL,
    address          chain_address NOT NULL,
    next_nonce       bigint NOT NULL DEFAULT 0 CHECK (next_nonce >= 0),
    lease_holder     text,
    lease_generation bigint NOT NULL DEFAULT 0,
    lease_until      timestamptz,
    PRIMARY KEY (chain_id, address)
);

-- Why nothing is sent just now, for people: one line for each signer, and one named `-` while no chain is configured.
CREATE TABLE mint_waits (
    signer    text PRIMARY KEY,
    reason    text NOT NULL,
    since_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A slot is one nonce and what it does; any one of its signed versions (`attempts`) may be mined.
CREATE TABLE slots (
    slot_id      uuid PRIMARY KEY DEFAULT uuidv7(),
    chain_id     bigint NOT NULL,
    signer       chain_address NOT NULL,
    nonce        bigint NOT NULL CHECK (nonce >= 0),
    kind         text NOT NULL CHECK (kind IN ('mint', 'void', 'royalty', 'fill')),
    to_address   chain_address NOT NULL,
    data         bytea NOT NULL,
    gas          bigint NOT NULL CHECK (gas > 0),
    generation   bigint NOT NULL,                                  -- of the lease under which it was made
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'mined', 'final', 'reverted', 'lost')),
    state_since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    mined_hash   chain_hash,
    block_number bigint,
    block_hash   chain_hash,
    gas_used     bigint,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (chain_id, signer, nonce),                              -- no nonce twice
    FOREIGN KEY (chain_id, signer) REFERENCES signers,
    CHECK (num_nulls(mined_hash, block_number, block_hash) IN (0, 3)),
    CHECK ((state IN ('mined', 'final', 'reverted')) = (mined_hash IS NOT NULL))
);
CREATE INDEX slots_open ON slots (chain_id, signer, nonce) WHERE state IN ('open', 'mined');
CREATE INDEX slots_by_block ON slots (chain_id, signer, block_number) WHERE state IN ('mined', 'final', 'reverted');

CREATE TABLE attempts (
    tx_hash      chain_hash PRIMARY KEY,
    slot_id      uuid NOT NULL REFERENCES slots,
    number       integer NOT NULL CHECK (number >= 1),
    raw          bytea NOT NULL,
    max_fee_wei  bigint NOT NULL CHECK (max_fee_wei > 0),
    tip_wei      bigint NOT NULL CHECK (tip_wei BETWEEN 0 AND max_fee_wei),
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_sent_at timestamptz,
    sends        integer NOT NULL DEFAULT 0,
    UNIQUE (slot_id, number)
);

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('slot', 'open', 'mined'),
    ('slot', 'open', 'reverted'),
    ('slot', 'open', 'lost'),
    ('slot', 'mined', 'final'),
    ('slot', 'mined', 'open'),                                     -- its block is no longer of the chain
    ('slot', 'final', 'open'),
    ('slot', 'reverted', 'open'),
    ('slot', 'lost', 'open');                                      -- the transaction that took its nonce is gone

CREATE FUNCTION guard_slot() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.slot_id, NEW.chain_id, NEW.signer, NEW.nonce, NEW.kind, NEW.to_address, NEW.data, NEW.gas)
       IS DISTINCT FROM (OLD.slot_id, OLD.chain_id, OLD.signer, OLD.nonce, OLD.kind, OLD.to_address, OLD.data, OLD.gas)
    THEN
        RAISE EXCEPTION 'slot %: what was signed cannot change', OLD.slot_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state THEN
        PERFORM FROM legal_moves WHERE subject = 'slot' AND from_state = OLD.state AND to_state = NEW.state;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'slot %: % -> % is not a legal move', OLD.slot_id, OLD.state, NEW.state
                USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.state_since := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_slot_moves_legally BEFORE UPDATE ON slots FOR EACH ROW EXECUTE FUNCTION guard_slot();
CREATE TRIGGER slots_are_kept BEFORE DELETE OR TRUNCATE ON slots
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempts_are_kept BEFORE DELETE OR TRUNCATE ON attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Mints: one row for each paid ticket (db/lifecycle.py draws its moves).

INSERT INTO legal_moves (subject, from_state, to_state) VALUES
    ('mint', 'queued', 'submitted'),
    ('mint', 'queued', 'confirmed'),                               -- found on the chain: the book had forgotten it
    ('mint', 'queued', 'failed'),
    ('mint', 'queued', 'canceled'),
    ('mint', 'submitted', 'mined'),
    ('mint', 'submitted', 'queued'),                               -- reverted, or its nonce was taken by somebody else
    ('mint', 'submitted', 'failed'),
    ('mint', 'mined', 'confirmed'),
    ('mint', 'mined', 'submitted'),                                -- reorganised away
    ('mint', 'confirmed', 'submitted'),                            -- the same, deeper than we wait
    ('mint', 'confirmed', 'voiding'),
    ('mint', 'voiding', 'voided'),
    ('mint', 'voiding', 'confirmed'),
    ('mint', 'voided', 'voiding'),
    ('mint', 'failed', 'queued'),
    ('mint', 'failed', 'canceled');

CREATE TABLE mints (
    tenant_id      uuid NOT NULL,
    ticket_id      uuid NOT NULL,
    payment_id     uuid NOT NULL,
    order_id       uuid NOT NULL,
    event_id       uuid NOT NULL,
    venue_id       uuid NOT NULL,
    token_id       text NOT NULL CHECK (token_id ~ '^0x[0-9a-f]{64}$'),
    to_address     chain_address,                                  -- none yet: nobody has said whose the token is
    state          text NOT NULL DEFAULT 'queued' CHECK (state IN (
                       'queued', 'submitted', 'mined', 'confirmed', 'failed', 'canceled', 'voiding', 'voided')),
    state_reason   text,
    state_by       text NOT NULL,
    state_since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    history_seq    integer NOT NULL DEFAULT 1,
    tries          integer NOT NULL DEFAULT 0,                     -- transactions that came to nothing
    slot_id        uuid REFERENCES slots,
    void_slot_id   uuid REFERENCES slots,
    void_wanted_at timestamptz,                                    -- the ticket was refunded
    told_at        timestamptz,                                    -- when ticket.minted was appended, once
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, ticket_id),                            -- M11: one ticket, one token
    UNIQUE (token_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments,
    FOREIGN KEY (tenant_id, event_id) REFERENCES series,
    CHECK (state IN ('queued', 'failed', 'canceled') OR to_address IS NOT NULL)
);
CREATE INDEX mints_of_payment ON mints (tenant_id, payment_id);
CREATE INDEX mints_queued ON mints (created_at) WHERE state = 'queued';
CREATE INDEX mints_to_void ON mints (void_wanted_at) WHERE state = 'confirmed' AND void_wanted_at IS NOT NULL;
CREATE INDEX mints_of_slot ON mints (slot_id) WHERE slot_id IS NOT NULL;
CREATE INDEX mints_of_void_slot ON mints (void_slot_id) WHERE void_slot_id IS NOT NULL;
CREATE INDEX mints_failed ON mints (state_since) WHERE state = 'failed';

CREATE TABLE mint_history (
    tenant_id  uuid NOT NULL,
    ticket_id  uuid NOT NULL,
    seq        integer NOT NULL CHECK (seq >= 1),
    from_state text,
    to_state   text NOT NULL,
    reason     text,
    by         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, ticket_id, seq),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES mints,
    CHECK ((seq = 1) = (from_state IS NULL))
);

CREATE FUNCTION guard_mint() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'queued' OR NEW.history_seq <> 1 THEN
            RAISE EXCEPTION 'a mint starts as queued, not as %', NEW.state USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.tenant_id, NEW.ticket_id, NEW.payment_id, NEW.order_id, NEW.event_id, NEW.venue_id, NEW.token_id)
       IS DISTINCT FROM
       (OLD.tenant_id, OLD.ticket_id, OLD.payment_id, OLD.order_id, OLD.event_id, OLD.venue_id, OLD.token_id) THEN
        RAISE EXCEPTION 'ticket %: what was paid for cannot change', OLD.ticket_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.to_address IS NOT NULL AND NEW.to_address IS DISTINCT FROM OLD.to_address THEN
        RAISE EXCEPTION 'ticket % already goes to %', OLD.ticket_id, OLD.to_address
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = OLD.state THEN
        NEW.history_seq := OLD.history_seq;
        RETURN NEW;
    END IF;
    PERFORM FROM legal_moves WHERE subject = 'mint' AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'ticket %: % -> % is not a legal move', OLD.ticket_id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.history_seq := OLD.history_seq + 1;
    NEW.state_since := clock_timestamp();
    RETURN NEW;
END
$$;

-- Owned by the schema's owner: two roles move mints, and neither may write a history by hand.
CREATE FUNCTION write_mint_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO mint_history (tenant_id, ticket_id, seq, from_state, to_state, reason, by)
    VALUES (
        NEW.tenant_id, NEW.ticket_id, NEW.history_seq,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.state_reason, NEW.state_by
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER a_mint_moves_legally BEFORE INSERT OR UPDATE ON mints
    FOR EACH ROW EXECUTE FUNCTION guard_mint();
CREATE TRIGGER a_mint_start_is_history AFTER INSERT ON mints
    FOR EACH ROW EXECUTE FUNCTION write_mint_history();
CREATE TRIGGER a_mint_move_is_history AFTER UPDATE ON mints
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION write_mint_history();
CREATE TRIGGER mints_are_kept BEFORE DELETE OR TRUNCATE ON mints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER mint_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mint_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------------------------------------------------------
-- Who may

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['mint_settings', 'series', 'mints', 'mint_history'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO fleet_tenant USING (tenant_id = current_tenant()) '
            'WITH CHECK (tenant_id = current_tenant())', owned);
        EXECUTE format('CREATE POLICY platform_reads ON %I FOR SELECT TO fleet_system USING (true)', owned);
        EXECUTE format('CREATE POLICY ops_read ON %I FOR SELECT TO fleet_ops USING (true)', owned);
        EXECUTE format('GRANT SELECT ON %I TO fleet_tenant, fleet_system, fleet_ops', owned);
    END LOOP;
END
$$;
GRANT INSERT ON series, mints TO fleet_tenant;
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq, tries, void_wanted_at) ON mints TO fleet_tenant;

CREATE POLICY platform_mints ON mints FOR UPDATE TO fleet_system USING (true) WITH CHECK (true);
CREATE POLICY platform_sets ON series FOR UPDATE TO fleet_system USING (true) WITH CHECK (true);
GRANT UPDATE (state, state_reason, state_by, state_since, history_seq, tries, to_address, slot_id, void_slot_id,
    told_at) ON mints TO fleet_system;
GRANT UPDATE (wanted_receiver, wanted_basis_points, set_receiver, set_basis_points, read_at) ON series TO fleet_system;
GRANT SELECT, INSERT ON chains, signers, slots, attempts TO fleet_system;
GRANT UPDATE (next_nonce, lease_holder, lease_generation, lease_until) ON signers TO fleet_system;
GRANT UPDATE (state, state_since, mined_hash, block_number, block_hash, gas_used) ON slots TO fleet_system;
GRANT UPDATE (last_sent_at, sends) ON attempts TO fleet_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON mint_waits TO fleet_system;
GRANT SELECT ON chains, signers, slots, attempts, mint_waits TO fleet_ops;

-- An operator may ask for a mint to be tried again; a worker does it.
CREATE POLICY ops_retry_mints ON outbox FOR INSERT TO fleet_ops WITH CHECK (kind = 'mint_retry');
