"""The tables. `objects` keeps each Stripe object as JSON with the few columns that lists filter by.

`searchable` is the last version that search has had time to index: search answers lag behind writes, as at Stripe.
`movements` repeats the money columns of balance transactions, so that a balance is one sum over an index.
`payout_contents` says which automatic payout has taken a balance transaction, by its sequence in `objects`.
"""

TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS objects (
    sequence   INTEGER PRIMARY KEY,
    account    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    created    INTEGER NOT NULL,
    changed_at REAL NOT NULL,
    customer   TEXT,
    parent     TEXT,
    type       TEXT,
    body       BLOB NOT NULL,
    private    BLOB,
    searchable BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS objects_by_id ON objects (id, account);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (account, kind);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (account, kind, customer) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS transfers_by_group ON objects (account, json_extract(body, '$.transfer_group'))
    WHERE kind = 'transfer';
CREATE INDEX IF NOT EXISTS charges_by_group ON objects (account, json_extract(body, '$.transfer_group'))
    WHERE kind = 'charge';
CREATE INDEX IF NOT EXISTS transfers_by_destination ON objects (account, json_extract(body, '$.destination'))
    WHERE kind = 'transfer';
CREATE INDEX IF NOT EXISTS objects_webhook_endpoints ON objects (kind) WHERE kind = 'webhook_endpoint';

CREATE TABLE IF NOT EXISTS search_terms (
    term TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (term, sequence)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS movements (
    sequence     INTEGER PRIMARY KEY,
    account      TEXT NOT NULL,
    currency     TEXT NOT NULL,
    available_on INTEGER NOT NULL,
    net          INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS movements_by_currency ON movements (account, currency, available_on, net);
CREATE TABLE IF NOT EXISTS totals (
    account TEXT NOT NULL, currency TEXT NOT NULL, net INTEGER NOT NULL, PRIMARY KEY (account, currency)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS payout_contents (sequence INTEGER PRIMARY KEY, payout TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS payout_contents_by_payout ON payout_contents (payout);

CREATE TABLE IF NOT EXISTS idempotency_keys (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_used REAL NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    headers BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS idempotency_keys_by_key ON idempotency_keys (key, account);

CREATE TABLE IF NOT EXISTS tasks (
    sequence INTEGER PRIMARY KEY,
    due_at   REAL NOT NULL,
    kind     TEXT NOT NULL,
    account  TEXT NOT NULL,
    subject  TEXT NOT NULL,
    details  BLOB
);
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks (due_at);

CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,
    created  INTEGER NOT NULL,
    pending  INTEGER NOT NULL,
    body     BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (id);
CREATE INDEX IF NOT EXISTS events_by_account ON events (account);

CREATE TABLE IF NOT EXISTS deliveries (
    sequence     INTEGER PRIMARY KEY,
    event        INTEGER NOT NULL,
    endpoint     TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'dropped')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_status  INTEGER,
    last_error   TEXT,
    due_at       REAL NOT NULL,
    interference BLOB
);
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (due_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);

CREATE TABLE IF NOT EXISTS attempts (
    sequence INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    delivery INTEGER NOT NULL,
    status   INTEGER,
    error    TEXT,
    seconds  REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS requests (
    sequence    INTEGER PRIMARY KEY,
    at          REAL NOT NULL,
    clock       REAL NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    account     TEXT,
    key         TEXT,
    fingerprint TEXT,
    status      INTEGER,
    replayed    INTEGER NOT NULL,
    fault       TEXT,
    request_id  TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS effects (
    sequence       INTEGER PRIMARY KEY,
    at             REAL NOT NULL,
    clock          REAL NOT NULL,
    kind           TEXT NOT NULL,
    object_id      TEXT NOT NULL,
    payment_intent TEXT,
    amount         INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    account        TEXT NOT NULL,
    request_id     TEXT,
    key            TEXT,
    metadata       BLOB
);

CREATE TABLE IF NOT EXISTS firings (
    sequence   INTEGER PRIMARY KEY,
    at         REAL NOT NULL,
    rule       TEXT NOT NULL,
    effect     TEXT NOT NULL,
    target     TEXT NOT NULL,
    request_id TEXT
);
"""

NAMES = (
    "settings", "objects", "search_terms", "movements", "totals", "payout_contents", "idempotency_keys", "tasks",
    "events", "deliveries", "attempts", "requests", "effects", "firings",
)  # fmt: skip
