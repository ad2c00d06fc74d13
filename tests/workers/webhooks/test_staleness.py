"""An answer of Stripe that is older than the book does not move a payment back."""

import psycopg
import pytest

from db.payments import payments
from db.payments.states import PaymentState
from db.session import Database
from messages.verdicts import TryAgain
from stripe_client.outcomes import Declined, NeedsAction
from tests import factories
from workers.payments.settlement import settle, settle_answer


def test_an_answer_asked_for_before_the_payment_moved_is_asked_for_again(
    db: Database, owner: psycopg.Connection
) -> None:
    payment = factories.requested(db, factories.tenant(owner))
    with db.transaction(payment.tenant_id) as tx:
        payments.begin_charging(tx, payment.payment_id, platform_fee_minor=1, by="test")
    asked = factories.reread(db, payment.tenant_id, payment.payment_id)
    with db.transaction(payment.tenant_id) as tx:
        settle(tx, asked, NeedsAction("pi_1"), by="charge")

    with pytest.raises(TryAgain, match="moved"), db.transaction(payment.tenant_id) as tx:
        settle_answer(tx, asked, Declined("pi_1", "card_declined", None, "card_declined", True), by="webhook")

    assert factories.reread(db, payment.tenant_id, payment.payment_id).state is PaymentState.REQUIRES_ACTION
