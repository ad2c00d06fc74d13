-- What happened lately, for the console's charts. The history is append-only and so lies in the order of its times: a
-- BRIN index of a few pages finds the last half hour in a table of any size, and costs an insert next to nothing.
CREATE INDEX payment_history_by_time ON payment_history USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
