-- How many refunds did well, for the service level: each collection looks at those that were asked for some minutes ago.
-- As payment_history_by_time (0006): append-only rows lie in the order of their times.
CREATE INDEX refund_history_by_time ON refund_history USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
