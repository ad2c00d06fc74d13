"""The replay check of a webhook: whether the inbox has the event, and what became of it. Reads only."""

from db.session import Database
from db.webhooks import inbox
from messages.webhooks import WebhookReceived
from workers.rules.replay_check import ReplayCheck, check_webhook


def webhook(msg: WebhookReceived, db: Database) -> ReplayCheck:
    """Already done when the inbox has the event as applied or kept; otherwise handling it again is safe."""
    with db.system_transaction() as tx:
        event = inbox.read(tx, msg.event_id)
    return check_webhook(event.state if event else None)
