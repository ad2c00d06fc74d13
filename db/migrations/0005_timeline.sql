-- What `fleet payment show` reads by payment (db/timeline.py): without these it would walk every failure and event.
CREATE INDEX message_failures_of_payment ON message_failures (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX webhook_inbox_of_payment ON webhook_inbox (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX webhook_inbox_of_object ON webhook_inbox (object_id) WHERE object_id IS NOT NULL;
