-- What the API has answered under each Idempotency-Key, so that the same request again gets the same answer.
--
-- There is no row for a request under way: whoever works on a key holds an advisory lock for its one transaction, in
-- which the work and the answer are written together (db/api_requests.py). A crash takes both, and the lock, with it.

CREATE TABLE api_requests (
    tenant_id       uuid NOT NULL REFERENCES tenants,
    caller          text NOT NULL CHECK (length(caller) BETWEEN 1 AND 200),
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    fingerprint     bytea NOT NULL CHECK (length(fingerprint) = 32),  -- SHA-256 of method, path and canonical body
    status          integer NOT NULL CHECK (status BETWEEN 200 AND 499),  -- a server's failure is never an answer to keep
    location        text,
    body            bytea NOT NULL CHECK (length(body) <= 65536),
    answered_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, caller, idempotency_key),
    CHECK (expires_at > answered_at)
);
CREATE INDEX api_requests_by_expiry ON api_requests (expires_at);

ALTER TABLE api_requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON api_requests TO fleet_tenant
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY platform_reads ON api_requests FOR SELECT TO fleet_system USING (true);
CREATE POLICY platform_forgets ON api_requests FOR DELETE TO fleet_system USING (expires_at <= clock_timestamp());
CREATE POLICY ops_read ON api_requests FOR SELECT TO fleet_ops USING (true);
GRANT SELECT, INSERT ON api_requests TO fleet_tenant;
-- Only an answer that has expired is ever written over.
GRANT UPDATE (fingerprint, status, location, body, answered_at, expires_at) ON api_requests TO fleet_tenant;
GRANT SELECT, DELETE ON api_requests TO fleet_system;
GRANT SELECT ON api_requests TO fleet_ops;

CREATE FUNCTION guard_api_answer() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.expires_at > clock_timestamp() THEN
        RAISE EXCEPTION 'the answer under key % still stands', OLD.idempotency_key USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER an_api_answer_stands BEFORE UPDATE ON api_requests
    FOR EACH ROW EXECUTE FUNCTION guard_api_answer();
