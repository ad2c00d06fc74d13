-- One row that the relay can never publish or settle must not stop the rows beside it.
--
-- The relay sets such a row aside: it stays, far in the future, with its reason (the gauge of refused rows and its alert
-- count it). And the table takes no new one. NOT VALID: rows that stand already are the relay's to set aside, and must
-- not stop a release; the release before this one writes no row that the check refuses.
ALTER TABLE outbox
    ADD COLUMN set_aside_because text,
    ADD CONSTRAINT outbox_can_be_relayed CHECK (set_aside_because IS NOT NULL OR (
        exchange IN ('', 'payments')                                     -- another one makes RabbitMQ close the channel
        -- An event is kept in told_events with its tenant and its subject.
        AND (exchange = '' OR (ordering_key IS NOT NULL AND tenant_id IS NOT NULL))
        AND octet_length(routing_key) <= 255                             -- AMQP's short string
        AND octet_length(body) <= 16777216                               -- RabbitMQ's max_message_size
        AND due_at >= '2000-01-01 00:00:00+00')) NOT VALID;              -- Python cannot read -infinity
GRANT UPDATE (set_aside_because) ON outbox TO fleet_mover;
