-- The span in which a token was asked for: what the minter does for it hangs on that one, in the trace of its payment.
-- None where nothing was recorded, and for what the previous release queues beside this one.
ALTER TABLE mints ADD COLUMN span_id text CHECK (span_id ~ '^[0-9a-f]{16}$');
