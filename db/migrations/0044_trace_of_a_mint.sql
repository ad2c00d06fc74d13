-- The trace of the payment that asked for the token, so that the minter's part of it is seen in the same trace. What was
-- queued before this has none, and neither has what the previous release queues beside this one.
ALTER TABLE mints ADD COLUMN trace_id text CHECK (trace_id ~ '^[0-9a-f]{32}$');
