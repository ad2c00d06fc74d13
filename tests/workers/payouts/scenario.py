"""What tests of payouts ask of the bank and read from the book."""

from typing import Any
from uuid import UUID

import psycopg

from db.reconciliation import case_views
from db.reconciliation.cases import Case
from db.session import Database
from deploy.local.stripe.control import EmulatorControl
from stripe_client.gateway import Gateway

AT_ONCE = "pm_card_bypassPending"


def pay_out(control: EmulatorControl) -> list[dict[str, Any]]:
    """The automatic payouts of today; their contents can be listed a minute later."""
    made = control.pay_out()
    control.advance_clock(61)
    return made


def journals(owner: psycopg.Connection, kind: str) -> dict[UUID, int]:
    """What journals of this kind brought to the bank, by tenant."""
    return sums(owner, "bank", kind)


def at_stripe(owner: psycopg.Connection) -> dict[UUID, int]:
    return sums(owner, "stripe_balance", "%")


def sums(owner: psycopg.Connection, account: str, kind: str) -> dict[UUID, int]:
    rows = owner.execute(
        "SELECT e.tenant_id, sum(e.amount_minor)::bigint FROM ledger_entries e JOIN ledger_accounts a "
        "USING (tenant_id, account_id) JOIN ledger_journals j USING (tenant_id, journal_id) "
        "WHERE a.code = %s AND j.kind LIKE %s GROUP BY e.tenant_id",
        [account, kind],
    )
    return dict(rows.fetchall())


def cases_of(db: Database) -> list[Case]:
    with db.ops_transaction() as tx:
        return case_views.find(tx, state=None)


def charge_by_hand(gateway: Gateway) -> None:
    gateway.v1.payment_intents.create({
        "amount": 4200,
        "currency": "eur",
        "payment_method": AT_ONCE,
        "confirm": True,
        "capture_method": "automatic",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    })  # fmt: skip
