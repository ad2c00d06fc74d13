"""What the tests of the people share: a tenant, and what they leave in the book and say to others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from db.payments.payments import Payment
from db.payments.states import PaymentState
from db.session import Database
from db.tenants.tenants import Tenant
from messages.payments import ChargeRequested
from stripe_client.gateway import Gateway
from tests import factories
from tests.budgets import budget, budget_name, governor_of
from workers.payments.charge import charge

__all__ = ["budget", "budget_name", "governor_of"]  # fixtures


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@dataclass(frozen=True)
class Ledgers:
    """The book, as a test looks at it."""

    owner: psycopg.Connection

    def balances(self) -> dict[str, int]:
        rows = self.owner.execute(
            "SELECT code, sum(amount_minor) "
            "FROM ledger_entries JOIN ledger_accounts USING (tenant_id, account_id) GROUP BY code"
        )
        return {code: int(minor) for code, minor in rows}

    def states(self, payment_id: UUID) -> list[str]:
        rows = self.owner.execute(
            "SELECT to_state FROM payment_history WHERE payment_id = %s ORDER BY seq", [payment_id]
        )
        return [state for (state,) in rows]

    def facts(self) -> list[dict[str, Any]]:
        """What other services will hear, in order: each event's data with its type."""
        rows = self.owner.execute("SELECT kind, body FROM outbox WHERE exchange = 'payments' ORDER BY due_at, id")
        return [{"type": kind} | orjson.loads(body)["data"] for kind, body in rows]

    def messages(self) -> list[dict[str, Any]]:
        """Our own messages that wait in the outbox: payload and kind."""
        rows = self.owner.execute("SELECT kind, body FROM outbox WHERE exchange = '' ORDER BY due_at, id")
        return [{"kind": kind} | orjson.loads(body)["kwargs"]["payload"] for kind, body in rows]

    def count(self, table: str) -> int:
        row = self.owner.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def book_of(owner: psycopg.Connection) -> Ledgers:
    return Ledgers(owner)


@pytest.fixture
def pay(db: Database, tenant: Tenant, gateway: Gateway) -> Callable[..., Payment]:
    """An order of this tenant, offered to the charge worker once; the payment as it stands then."""

    def one(**changes: Any) -> Payment:
        payment = factories.requested(db, tenant, **changes)
        charge(ChargeRequested(tenant_id=tenant.tenant_id, payment_id=payment.payment_id), db, gateway)
        return factories.reread(db, tenant.tenant_id, payment.payment_id)

    return one


def charged_and_fully_booked(payment: Payment) -> bool:
    return payment.state is PaymentState.SUCCEEDED and payment.fully_booked
